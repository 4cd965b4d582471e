"""A command of Residency as a process of its own, which outlives the page that began it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from residency.errors import StoreError
from residency.files.atomic_write import write_bytes


def start_command(
    words: Sequence[str], root: Path, *, log: Path, note: Path, errors_only: bool = False
) -> int:
    """Start ``residency WORDS`` in a folder; its process id.

    Args:
        log: what it prints. note: JSON with its id, ``pid``. errors_only: what it writes on standard
            output is not kept.

    Raises:
        StoreError: the files cannot be written, or the process cannot be started.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as printed:
            child = subprocess.Popen(
                [sys.executable, "-m", "residency", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if errors_only else printed,
                stderr=printed,
                start_new_session=True,  # the end of who started it is not its end
                cwd=root,
            )
        write_bytes(note, json.dumps({"pid": child.pid}).encode())
    except OSError as error:
        raise StoreError(
            f"residency {words[0]} cannot be started: {error.strerror or error}",
            where=str(log.parent),
        ) from error
    # somebody has to take note of its end, or it stays in the list of processes
    threading.Thread(target=child.wait, daemon=True).start()
    return child.pid
