"""Parquet and Arrow files proved readable in another process, since damaged ones can crash their reader.

The other process reads every batch and validates every offset, length and character. If it dies,
the file is at fault and this process goes on. It stays for the next file.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from residency.errors import DataError
from residency.files.decompress import FREE_BYTES, MOST_GROWTH, grown_error
from residency.files.python_command import make_python_command
from residency.files.table_batches import open_batches

_BATCH = 128
_MEMORY = 8 << 30
"""Address space of the process that checks: a file that needs more for 128 rows is refused."""


@dataclass(frozen=True)
class TableSize:
    """What a check counted: rows, and the bytes of the largest batch of 128 rows."""

    rows: int
    batch_bytes: int

    @property
    def rows_at_once(self) -> int:
        """Rows of which a batch stays within 64 MB."""
        return max(1, min(4096, _BATCH * (64 << 20) // max(1, self.batch_bytes)))


class _Checker:
    """The other process, started when it is first needed and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, int, str], dict[str, Any]] = {}

    def ask(self, path: Path, kind: str) -> dict[str, Any]:
        """The answer for a file; ``{"died": …}`` where the process died of it."""
        stat = path.stat()
        key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, kind)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._ask(path, kind)
            return self._known[key]

    def _ask(self, path: Path, kind: str) -> dict[str, Any]:
        for _ in range(2):  # a process that was ended by others in between is started again
            process = self._start()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(json.dumps([str(path.absolute()), kind]) + "\n")
                process.stdin.flush()
            except OSError:
                self.stop()
                continue
            line = process.stdout.readline()
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            break
        code = process.wait()
        self.stop()
        return {"died": f"signal {-code}" if code < 0 else f"exit code {code}"}

    def _start(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                make_python_command("residency.files.check_table"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                errors="surrogateescape",
            )
        return self._process

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process.kill()
            self._process.wait()
            self._process = None


_checker = _Checker()
atexit.register(_checker.stop)


def check_table(path: Path, kind: str) -> TableSize:
    """Prove that a Parquet or Arrow file can be read to its end.

    Raises:
        DataError: it cannot, or it opens to far more than it is.
    """
    answer = _checker.ask(path, kind)
    if "died" in answer:
        raise DataError(
            f"not a readable {kind} file: reading it crashed ({answer['died']})",
            where=str(path),
            next_step="copy or download the file again",
        )
    if "grown" in answer:
        raise grown_error(path, path.stat().st_size, answer["grown"])
    if "error" in answer:
        raise DataError(
            f"not a readable {kind} file: {answer['error']}",
            where=str(path),
            next_step="copy or download the file again",
        )
    return TableSize(answer["rows"], answer["batch_bytes"])


# --- what the other process does ----------------------------------------------------------------


def _read_whole(path: Path, kind: str) -> dict[str, Any]:
    size = path.stat().st_size
    most = max(FREE_BYTES, MOST_GROWTH * size)
    rows = total = largest = 0
    for batch in open_batches(path, kind, _BATCH):
        opened = 0
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            opened += _validate_column(name, column)
        rows += batch.num_rows
        total += opened
        largest = max(largest, opened * _BATCH // max(1, batch.num_rows))
        if total > most or rows > 1_000_000 + 1000 * size:
            return {"grown": max(total, rows)}
    return {"rows": rows, "batch_bytes": largest}


def _validate_column(name: str, column: Any) -> int:
    """Everything but the characters of plain text, which are looked at row by row; gives its bytes,
    with values that are stored once and named often written out."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column.validate(full=True)
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        column = column.view(pa.binary())
    elif pa.types.is_large_string(column.type):
        column = column.view(pa.large_binary())
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"column {name!r}: {error}") from None
    return int(column.nbytes)


def _serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer a line a request, until there is none."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in requests:
        name, kind = json.loads(line)
        try:
            answer = _read_whole(Path(name), kind)
        except Exception as error:  # whatever a reader makes of a broken file
            answer = {"error": str(error)[:300] or type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin, sys.stdout)
