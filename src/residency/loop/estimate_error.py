"""How far the last estimate of memory and time was off, against a real training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from residency.nouns.content_id import content_id
from residency.project.step_needs import HasBase
from residency.store.record_kind import RecordKind

if TYPE_CHECKING:
    from residency.train.train_result import TrainResult


ESTIMATE_RECORD = RecordKind.ESTIMATE


def estimate_against(ws: HasBase, result: TrainResult) -> dict[str, Any]:
    """The last estimate for this base and these settings against a real run; empty without one.

    ``memory_error`` and ``time_error`` are (estimate − real) / real; time is of all steps and, where
    they were computed, the frozen layers.
    """
    estimates = ws.store.records(ESTIMATE_RECORD, hash_training(ws))
    if not estimates:
        return {}
    last = estimates[-1]
    steps, real_steps = last["seconds"] - last["frozen_seconds"], result.seconds
    seconds = last["frozen_seconds"] + steps / last["steps"] * result.steps
    real = real_steps + result.frozen_seconds
    return {
        "memory": last["memory"],
        "seconds": seconds,
        "step_seconds": last["step_seconds"],
        "memory_error": (last["memory"] - result.memory) / result.memory,
        "time_error": (seconds - real) / real,
    }


def hash_training(ws: HasBase) -> str:
    return content_id(
        ESTIMATE_RECORD,
        {
            "base": ws.base.identity,
            "settings": ws.config.train.name_what_decides(),
            "device": ws.config.model.device,
            "threads": ws.config.model.threads,
        },
    )
