"""``residency sweep``: how much model and how much data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from residency.commands.estimate import estimate
from residency.loop.estimate_error import ESTIMATE_RECORD, hash_training
from residency.project.settings_file import name_base_from
from residency.project.workspace import Workspace
from residency.sweep.run_sweep import Sweep
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.sweep_result import SweepResult
from residency.sweep.watched_sweep import WatchedSweep


@dataclass(frozen=True)
class KnownEstimate:
    """The part of an earlier estimate that a plan needs."""

    memory: int
    step_seconds: float
    frozen_seconds: float


def open_sweep(ws: Workspace, options: SweepOptions) -> Sweep:
    """A sweep that is not planned yet; what it plans and where it is, other processes can read.

    Raises:
        ConfigError: a setting does not take a value. UserError: an option cannot be meant.
    """
    bases = tuple(name_base_from(ws.root, base) for base in options.bases)
    return WatchedSweep(ws, replace(options, bases=bases), estimate_once)


def sweep(ws: Workspace, options: SweepOptions) -> SweepResult:
    """Plan and run a sweep; what an earlier call did is not done again.

    Raises:
        UserError: nothing fits the time. StoreLockedError: another process writes.
    """
    opened = open_sweep(ws, options)
    with ws.store.writer("sweep"):
        opened.ask()
        return opened.run(opened.plan())


def estimate_once(ws: Workspace) -> Any:
    """The last estimate for this base and these settings, or a new one."""
    known = ws.store.records(ESTIMATE_RECORD, hash_training(ws))
    if known:
        last = known[-1]
        return KnownEstimate(last["memory"], last["step_seconds"], last["frozen_seconds"])
    return estimate(ws)
