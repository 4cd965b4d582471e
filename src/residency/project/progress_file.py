"""Where a run is, for other processes to see: a small file beside the store while it goes on."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from residency.files.atomic_write import write_bytes

PROGRESS_FILE = "progress.json"


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
    import psutil

    return position if psutil.pid_exists(position.process) else None
