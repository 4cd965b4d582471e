"""A command of Residency as a separate process, which outlives the page that began it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from residency.errors import StoreError
from residency.files.atomic_write import write_bytes
from residency.files.python_command import make_python_command
from residency.project.progress_file import is_alive
from residency.secrets import hide_secrets
from residency.text.terminal_text import make_safe

_LOG_BYTES = 8000
_LAST_LINES = 12


def start_command(
    words: Sequence[str], root: Path, *, log: Path, note: Path, errors_only: bool = False
) -> int:
    """Start ``residency WORDS`` in a folder; its process id.

    Args:
        log: what it prints. note: JSON with its id, ``pid``. errors_only: what it writes on standard
            output is lost.

    Raises:
        StoreError: the files cannot be written, or the process cannot be started.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as printed:
            child = subprocess.Popen(
                make_python_command("residency", *words),
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


def find_command(note: Path) -> int:
    """The process that a note names, while it is alive and one of Residency's; 0 otherwise."""
    process = read_note(note).get("pid", 0)
    return process if process and is_alive(process) and is_ours(process) else 0


def end_command(note: Path) -> int:
    """Tell the process that a note names to end (SIGTERM); its id, 0 where there is none."""
    process = find_command(note)
    if process:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    return process


def read_note(path: Path) -> dict[str, int]:
    """What a note says; nothing where it is missing or damaged."""
    try:
        body = json.loads(path.read_bytes())
        return {key: int(value) for key, value in body.items()} if isinstance(body, dict) else {}
    except (OSError, ValueError, TypeError):
        return {}


def is_ours(process: int) -> bool:
    """Whether a process is one of Residency's: an id may belong to another program by now."""
    import psutil

    try:
        return any("residency" in word for word in psutil.Process(process).cmdline())
    except (psutil.Error, ValueError):
        return False


def read_last_words(path: Path) -> str:
    """The last lines of what a command said, safe to be shown."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return "\n".join(make_safe(hide_secrets(line)) for line in lines[-_LAST_LINES:])
