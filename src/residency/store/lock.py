"""One writer a project. Readers never wait."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType

from residency.errors import StoreLockedError


class WriterLock:
    """An advisory lock on a file that the kernel drops when the process dies, kill -9 included.

    Use as a context manager. The file says who holds it, for the second writer's message.

    Raises:
        StoreLockedError: on entry, when another process holds it.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        self._command = command
        self._handle: int | None = None

    def __enter__(self) -> WriterLock:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            os.close(handle)
            raise StoreLockedError(
                f"another process is writing to this project{holder}",
                where=str(self._path.parent),
                next_step="wait until it ends, or stop it with Ctrl-C; nothing is lost",
            ) from None
        os.ftruncate(handle, 0)
        note = {"pid": os.getpid(), "command": self._command, "since": int(time.time())}
        os.pwrite(handle, json.dumps(note).encode(), 0)
        self._handle = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _holder(self) -> str:
        try:
            note = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return ""
        minutes = (time.time() - note["since"]) / 60
        return f" (residency {note['command']}, process {note['pid']}, for {minutes:.0f} min)"
