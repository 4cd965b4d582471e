"""One writer a project. Readers never wait."""

from __future__ import annotations

import contextlib
import json
import os
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from residency.errors import StoreError, StoreLockedError

if TYPE_CHECKING:
    from filelock import BaseFileLock


class WriterLock:
    """A lock on a file that the operating system drops when the process dies, kill -9 included.

    A note beside the file says who holds it, for the second writer's message. Taking it twice in
    one object counts: it is free after as many releases.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.parent
        self._note = path.with_suffix(".json")
        self._depth = 0

    @cached_property
    def _lock(self) -> BaseFileLock:
        from filelock import FileLock  # who only reads never takes a lock, nor loads one

        return FileLock(self._path, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._depth > 0

    def take_lock(self, command: str, *, wait: float = 0.0) -> None:
        """Take it, or say who has it.

        Args:
            wait: seconds to wait for another writer.

        Raises:
            StoreLockedError: another process, or another store of this one, holds it.
            StoreError: the folder cannot be written.
        """
        from filelock import Timeout

        if not self._depth:
            try:
                self._lock.acquire(timeout=wait)
            except Timeout:
                raise StoreLockedError(
                    f"another process is writing to this project{self._describe_holder()}",
                    where=str(self._folder),
                    next_step="wait until it ends, or stop it with Ctrl-C; nothing is lost",
                ) from None
            except OSError as error:
                raise StoreError(
                    f"the project's folder cannot be written: {error.strerror or error}",
                    where=str(self._folder),
                    next_step="make it writable for you; reading commands work as it is",
                ) from error
            self._write_note(command)
        self._depth += 1

    def release_lock(self) -> None:
        """Give it back once."""
        self._depth -= 1
        if not self._depth:
            with contextlib.suppress(OSError):
                self._note.unlink()
            self._lock.release()

    def _write_note(self, command: str) -> None:
        note = {"pid": os.getpid(), "command": command, "since": int(time.time())}
        with contextlib.suppress(OSError):  # a full disk is told by the first row that is written
            self._note.write_text(json.dumps(note), encoding="utf-8")

    def _describe_holder(self) -> str:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            minutes = (time.time() - note["since"]) / 60
            return f" (residency {note['command']}, process {note['pid']}, for {minutes:.0f} min)"
        except (OSError, ValueError, KeyError, TypeError):
            return ""
