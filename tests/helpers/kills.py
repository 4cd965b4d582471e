"""A run that is ended at a chosen moment: at its n-th durable operation, or by a signal."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

DURABLE = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
"""Audit events of operations that change what lies on disk."""


class EndAt:
    """Ends this process at its n-th durable operation below a folder (0: only counts them).

    Counted are renames, removals and the like, files opened for writing, and the database's
    commits, before each and after each.
    """

    def __init__(self, number: int, folder: Path, *, kind: int = signal.SIGKILL) -> None:
        self.number = number
        self.folder = str(folder)
        self.kind = kind
        self.count = 0
        sys.addaudithook(self._watch)
        from sqlalchemy import Engine, event

        event.listen(Engine, "commit", lambda connection: self.step())

    def step(self) -> None:
        """One durable operation is about to happen."""
        self.count += 1
        if self.count == self.number:
            os.kill(os.getpid(), self.kind)

    def _watch(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            path, mode, _ = arguments
            if not (isinstance(mode, str) and set(mode) & set("wax+")):
                return
        elif name in DURABLE:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder):
            self.step()


def run_and_end(folder: str, number: int, kind: int, counted: str = "") -> None:
    """In a child: run the project in ``folder`` and be ended at operation ``number``.

    With ``counted``, the number of operations is written there.
    """
    end = EndAt(number, Path(folder) / ".residency", kind=kind)
    from residency.cli.invoke import run_command_line

    code = run_command_line(["run", folder])
    if counted:
        Path(counted).write_text(str(end.count), encoding="utf-8")
    raise SystemExit(code)


def read_essence(folder: Path) -> dict[str, Any]:
    """Everything that a run decides, without clock times, and the weights' bytes."""
    from residency.commands.project import Project

    summary = Project.open(folder).status()
    weights = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / ".residency").rglob("adapter_model.safetensors")
        if "work" not in path.parts
    }
    return {
        "complete": summary.complete,
        "stopped": summary.stopped,
        "rounds": [(r.round.index, r.round.arm, r.round.model, r.scores) for r in summary.rounds],
        "issues": [(i.issue, i.verdicts, i.confirmed, i.expected) for i in summary.issues],
        "arms": summary.arms,
        "test": summary.test,
        "openings": summary.test_openings,
        "weights": weights,
    }
