"""Memory and time of a project's training, before it runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil

from residency import data
from residency.errors import DataError
from residency.rounds.workspace import Workspace
from residency.train.estimate import Estimate
from residency.train.estimate import estimate as estimate_rows
from residency.types import content_id

if TYPE_CHECKING:
    from residency.train import TrainResult

__all__ = ["Estimate", "estimate", "estimate_against"]

KIND = "estimate"
PYTHON_BYTES = 12 << 20
"""What Python holds by itself, in every process."""


def estimate(ws: Workspace, *, check_steps: int = 0) -> Estimate:
    """What training on the project's train split needs, by a formula and a small probe.

    It is kept: the next training with the same base and settings says how far off it was.

    Args:
        check_steps: also really run so many steps and give the estimate's error.

    Raises:
        DataError: there is no row to train on. TrainingError: the probe failed.
    """
    encoded = data.encode_rows(
        ws.split("train"),
        ws.chat_format,
        max_length=ws.config.model.max_length,
        truncation=ws.config.data.truncation,
        cache_dir=ws.store.folder / "cache" / "tokens",
    )
    if not encoded.rows:
        raise DataError(
            "no row is left to train on",
            where="data.train",
            next_step="residency check says why each row was dropped",
        )
    found = estimate_rows(
        ws.base.path,
        encoded.rows,
        ws.config.train,
        seed=ws.config.project.seed,
        threads=ws.config.model.threads,
        device=ws.config.model.device,
        check_steps=check_steps,
    )
    found = _with_this_program(found)
    ws.store.add_record(KIND, _key(ws), found.to_dict())
    return found


def _with_this_program(found: Estimate) -> Estimate:
    """Add what a command holds beside its training: the data, and libraries that the probe lacks."""
    both = found.program if "torch" in sys.modules else PYTHON_BYTES
    beside = max(0, psutil.Process().memory_info().rss - both)
    measured = found.measured_memory + beside if found.measured_memory else 0
    return replace(
        found,
        memory=found.memory + beside,
        weights=found.weights + beside,
        measured_memory=measured,
    )


def estimate_against(ws: Workspace, result: TrainResult) -> dict[str, Any]:
    """The last estimate for this base and these settings against a real run; empty without one.

    ``memory_error`` and ``time_error`` are (estimate − real) / real; time is of a step.
    """
    kept = ws.store.records(KIND, _key(ws))
    if not kept:
        return {}
    last, seconds = kept[-1], result.seconds / result.steps
    return {
        "memory": last["memory"],
        "step_seconds": last["step_seconds"],
        "memory_error": (last["memory"] - result.memory) / result.memory,
        "time_error": (last["step_seconds"] - seconds) / seconds,
    }


def _key(ws: Workspace) -> str:
    return content_id(
        KIND,
        {
            "base": ws.base.identity,
            "settings": ws.config.train.model_dump(mode="json"),
            "device": ws.config.model.device,
            "threads": ws.config.model.threads,
        },
    )
