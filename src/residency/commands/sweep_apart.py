"""A sweep, or its plan alone, as a separate process; started from a page and watched through its files."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from residency.commands.detached_process import (
    find_command,
    is_ours,
    read_last_words,
    start_command,
)
from residency.commands.export_apart import find_export
from residency.commands.run_apart import read_run_state
from residency.errors import StoreError, StoreLockedError
from residency.project.progress_file import is_alive
from residency.project.settings_file import read_config
from residency.store.store import FOLDER
from residency.sweep.sweep_options import SHARES, SweepOptions
from residency.sweep.watched_sweep import (
    StoredPlan,
    SweepPosition,
    read_sweep_plan,
    read_sweep_position,
)

NOTE_FILE, LOG_FILE = "sweep.json", "sweep.log"
_DEFAULTS = SweepOptions()


@dataclass(frozen=True)
class SweepState:
    """A sweep as seen from outside.

    Attributes:
        process: its id; 0 where none goes on. started: by a page and not in a terminal.
        position: where it is or was. stored_plan: the last. last_words: what the last one said.
    """

    process: int
    started: bool
    position: SweepPosition | None
    stored_plan: StoredPlan | None
    last_words: str = ""

    @property
    def is_running(self) -> bool:
        """Whether one goes on."""
        return self.process > 0

    @property
    def is_stopped(self) -> bool:
        """Whether the last one ended before all of it was done."""
        position = self.position
        return not self.process and position is not None and 0 < position.done < position.total


def write_sweep_words(options: SweepOptions) -> list[str]:
    """The words of the command line that ask for the same; what is the default is left out."""
    words = [f"--base={base}" for base in options.bases]
    if options.shares != SHARES:
        words.append("--sizes=" + ",".join(f"{100 * share:g}" for share in options.shares))
    if options.seeds != _DEFAULTS.seeds:
        words.append(f"--seeds={options.seeds}")
    words += [f"--learning-rate={value:g}" for value in options.learning_rates]
    words += [f"--rank={value}" for value in options.ranks]
    words += [f"--layers={value}" for value in options.layers]
    if options.minutes != _DEFAULTS.minutes:
        words.append(f"--minutes={options.minutes:g}")
    if options.jobs != _DEFAULTS.jobs:
        words.append(f"--jobs={options.jobs}")
    if options.hour_price != _DEFAULTS.hour_price:
        words.append(f"--hour-price={options.hour_price:g}")
    return words


def start_sweep(root: Path, options: SweepOptions, *, plan_only: bool = False) -> int:
    """Start ``residency sweep`` as a separate process; its id.

    Raises:
        ConfigError, UserError: the options cannot be meant. StoreLockedError: something else
            writes to this project. StoreError: it cannot be started.
    """
    config = read_config(root)
    options.list_variants(config.model.base, config.train)
    folder = root / FOLDER
    if find_export(root) or read_run_state(root).is_running or read_sweep_state(root).is_running:
        raise StoreLockedError(
            "a run, an export or a sweep goes on, and one process writes at a time",
            next_step="wait until it ends, or stop it; what it did is kept",
        )
    words = ["sweep", str(root), *write_sweep_words(options), *(["--dry-run"] * plan_only)]
    return start_command(
        words, root, log=folder / LOG_FILE, note=folder / NOTE_FILE, errors_only=True
    )


def read_sweep_state(root: Path) -> SweepState:
    """What a project's sweep does at this moment."""
    folder = root / FOLDER
    position, noted_process = read_sweep_position(folder), find_command(folder / NOTE_FILE)
    position_process = position.process if position else 0
    process = noted_process or (
        position_process
        if position_process and is_alive(position_process) and is_ours(position_process)
        else 0
    )
    if noted_process and position and position.process != noted_process:
        position = None  # of an earlier one: the new one has not told yet
    return SweepState(
        process=process,
        started=bool(noted_process),
        position=position,
        stored_plan=read_sweep_plan(folder),
        last_words="" if process else read_last_words(folder / LOG_FILE),
    )


def stop_sweep(root: Path) -> int:
    """Tell a project's sweep to end; the trainings that are done stay. Gives its process id.

    Raises:
        StoreError: none goes on.
    """
    process = read_sweep_state(root).process
    if not process:
        raise StoreError("no sweep goes on here", next_step="nothing has to be stopped")
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    return process
