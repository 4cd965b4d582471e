"""Where a run is, for other processes to see: a small file beside the store while it goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from residency.files.atomic_write import write_bytes

PROGRESS_FILE = "progress.json"
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class RunPosition:
    """Stage ``number`` of ``of`` and its ``done`` of ``total`` units; ``left`` in words, or empty."""

    stage: str
    done: int
    total: int
    unit: str
    number: int
    of: int
    left: str = ""
    process: int = 0
    at: str = ""

    def describe(self) -> str:
        """One line for people."""
        left = f", {self.left} left" if self.left else ""
        return (
            f"Running (process {self.process}): stage {self.number} of {self.of}, {self.stage}: "
            f"{self.done}/{self.total} {self.unit}{left} (at {self.at})"
        )


def write_position(folder: Path, position: RunPosition) -> None:
    """Tell where this process's run is; ``folder`` is the project's ``.residency``."""
    body = asdict(position) | {
        "process": os.getpid(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # it is a courtesy; a full disk is told by others
        write_bytes(folder / PROGRESS_FILE, json.dumps(body).encode())


def forget_position(folder: Path) -> None:
    """The run has ended."""
    with contextlib.suppress(OSError):
        (folder / PROGRESS_FILE).unlink(missing_ok=True)


def read_position(folder: Path) -> RunPosition | None:
    """Where a run of this machine is; None when none goes on."""
    try:
        position = RunPosition(**json.loads((folder / PROGRESS_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return position if is_alive(position.process) else None


def is_alive(process: int) -> bool:
    """Whether a process of this machine still works; one that ended and waits for its parent does not."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ValueError, OverflowError):
        return False


@dataclass(frozen=True)
class PlanLine:
    """One stage of a run's plan: ``work`` answers or steps (``kind``)."""

    name: str
    kind: str
    work: int


def write_plan(folder: Path, lines: Sequence[PlanLine]) -> None:
    """Keep what a run will do beside the store, for whoever watches it."""
    with contextlib.suppress(OSError):
        write_bytes(folder / PLAN_FILE, json.dumps([asdict(line) for line in lines]).encode())


def read_plan(folder: Path) -> list[PlanLine]:
    """What the last run planned; nothing where none did."""
    try:
        return [PlanLine(**line) for line in json.loads((folder / PLAN_FILE).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []
