"""Write beside, then rename: a reader finds a file or folder whole, or as it was before.

What is written goes to a *draft* in the same folder, reaches the disk, and takes the name in one
step. A killed process leaves its draft behind; whoever writes the same name next on that machine
removes it (on a folder that machines share, nobody can tell whether another one's process lives).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def write_text(path: Path, text: str) -> None:
    """Text as UTF-8, line ends as they are; missing folders are made.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Bytes; missing folders are made.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    with open_draft(path) as draft:
        draft.write_bytes(data)


def write_json(path: Path, value: Any, *, sort_keys: bool = False) -> None:
    """One value as indented JSON with a line end.

    Raises:
        OSError: as ``write_text``.
    """
    write_text(path, json.dumps(value, indent=1, sort_keys=sort_keys, ensure_ascii=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """One JSON object a line, as a stream; gives their number.

    Raises:
        OSError: as ``write_text``.
    """
    count = 0
    with open_draft(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


@contextlib.contextmanager
def open_draft(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """The name of a draft file to write to. Where the block ends well it becomes ``path``, where it
    raises it is removed.

    Args:
        durable: wait until the bytes are on the disk; a cache need not.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    _refuse_special(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_name(path)
    try:
        yield draft
        publish_file(draft, path, durable=durable)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _refuse_special(path: Path) -> None:
    """Renaming a draft to ``/dev/null`` would take the device's place, for every program.

    Raises:
        PermissionError: a device, pipe or socket lies there.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise PermissionError(errno.EACCES, "a device, pipe or socket lies here", str(path))


@contextlib.contextmanager
def open_draft_folder(folder: Path) -> Iterator[Path]:
    """An empty draft folder to fill. Where the block ends well it replaces ``folder``
    (and of all that was in it), where it raises it is removed.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    draft = draft_name(folder)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        yield draft
        publish_folder(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


@contextlib.contextmanager
def open_work_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` for large files that are only needed on the way; removed at the end,
    or, where the process was killed, by whoever writes ``path`` next.

    Raises:
        OSError: it cannot be made.
    """
    draft = draft_name(path)
    work = draft.with_name(f"{draft.name}-work")
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def draft_name(path: Path, *, shared: bool = False) -> Path:
    """Where the draft of ``path`` lies; drafts that dead processes of this machine left of it are removed.

    Args:
        shared: several processes write one draft together (the ranks of a training), so its name
            holds no process.
    """
    stem = f".{path.name}.draft"
    for leftover in path.parent.glob(f"{_escape_pattern(stem)}-*"):
        owner = leftover.name.removeprefix(f"{stem}-").partition("-")[0]
        process, _, machine = owner.partition("@")
        if machine not in ("", _MACHINE) or not process.isdigit():
            continue
        if int(process) != os.getpid() and not _is_alive(int(process)):
            _remove_leftover(leftover)
    return path.with_name(stem if shared else f"{stem}-{os.getpid()}@{_MACHINE}")


def _is_alive(process: int) -> bool:
    import psutil  # hardly ever needed: only where a draft was left

    return bool(psutil.pid_exists(process))


def publish_file(draft: Path, path: Path, *, durable: bool = True) -> None:
    """Make a written draft appear as ``path``.

    Raises:
        OSError: it cannot be renamed.
    """
    if durable:
        _flush_to_disk(draft)
    draft.replace(path)
    if durable:
        _flush_to_disk(path.parent)


def publish_folder(draft: Path, folder: Path) -> None:
    """Make a filled draft folder appear as ``folder``; what was there is removed afterwards.

    Raises:
        OSError: it cannot be renamed; what was there before is put back.
    """
    for file in draft.rglob("*"):
        _flush_to_disk(file)
    _flush_to_disk(draft)
    own_name = draft_name(folder).name
    old = folder.with_name(f"{own_name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    try:
        draft.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    _flush_to_disk(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _flush_to_disk(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    # Windows flushes only what is opened for writing.
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftover(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _escape_pattern(name: str) -> str:
    """The name as a pattern that matches only itself."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
