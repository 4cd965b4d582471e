"""A run as a separate process: started, watched and stopped from outside; it outlives who started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from residency.commands.detached_process import (
    is_ours,
    read_last_words,
    read_note,
    start_command,
)
from residency.errors import StoreError, StoreLockedError
from residency.files.atomic_write import write_bytes
from residency.project.progress_file import (
    PlanLine,
    RunPosition,
    is_alive,
    read_plan,
    read_position,
)
from residency.store.store import FOLDER

NOTE_FILE = "run.json"
LOG_FILE = "run.log"


@dataclass(frozen=True)
class RunState:
    """A run as seen from outside.

    Attributes:
        process: its id; 0 where none goes on. started: by the workbench and not in a terminal.
        position: where it is; None while it still loads. plan: every stage that it can have.
        stopping: it was told to stop and finishes its step.
        last_words: the end of what the last run said, where none goes on.
    """

    process: int
    started: bool
    position: RunPosition | None
    plan: list[PlanLine]
    stopping: bool = False
    last_words: str = ""

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self.process > 0


def read_run_state(root: Path) -> RunState:
    """What a project's run does at this moment."""
    folder = root / FOLDER
    position, note = read_position(folder), read_note(folder / NOTE_FILE)
    noted_process = note.get("pid", 0)
    started = bool(noted_process) and is_alive(noted_process) and is_ours(noted_process)
    process = noted_process if started else (position.process if position else _find_holder(folder))
    return RunState(
        process=process,
        started=started,
        position=position if process else None,
        plan=read_plan(folder),
        stopping=bool(process) and note.get("stopping") == process,
        last_words="" if process else read_last_words(folder / LOG_FILE),
    )


def start_run(root: Path, options: Sequence[str] = ()) -> int:
    """Start ``residency run`` as a separate process, or go on with an interrupted one; its id.

    Args:
        options: further words of the command line.

    Raises:
        StoreLockedError: a run, or something else that writes, goes on already. StoreError: the folder cannot be written.
    """
    state = read_run_state(root)
    if state.is_running:
        raise StoreLockedError(
            f"a run goes on already (process {state.process})",
            next_step="watch it, or stop it first; nothing is lost",
        )
    folder = root / FOLDER
    command, process = _read_holder(folder)
    if process and process != os.getpid():  # what this process writes ends with its request
        raise StoreLockedError(
            f"residency {command} works on this project (process {process}), and one process "
            "writes at a time",
            next_step="wait until it ends, or stop it; what it did is kept",
        )
    words = ["run", str(root), *options]
    return start_command(words, root, log=folder / LOG_FILE, note=folder / NOTE_FILE)


def stop_run(root: Path) -> int:
    """Tell a project's run to stop; it keeps what it has done. Gives its process id.

    Raises:
        StoreError: none goes on.
    """
    state = read_run_state(root)
    if not state.is_running or not is_ours(state.process):
        raise StoreError("no run goes on here", next_step="nothing has to be stopped")
    with contextlib.suppress(OSError):
        note = json.dumps({"pid": state.process, "stopping": state.process})
        write_bytes(root / FOLDER / NOTE_FILE, note.encode())
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.process, signal.SIGTERM)
    return state.process


def _find_holder(folder: Path) -> int:
    """The process that holds the writer lock for a run and has not told yet where it is."""
    command, process = _read_holder(folder)
    return process if command == "run" else 0


def _read_holder(folder: Path) -> tuple[str, int]:
    """The command that holds the writer lock, and its process; 0 where none does."""
    try:
        note = json.loads((folder / "writer.json").read_bytes())
        command, process = str(note["command"]), int(note["pid"])
    except (OSError, ValueError, TypeError, KeyError):
        return "", 0
    return (command, process) if is_alive(process) and is_ours(process) else ("", 0)
