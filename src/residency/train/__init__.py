"""Training: rows in, an adapter or full weights out; one engine for every objective."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.train.batches import Batches, EpochBatches
    from residency.train.engine import Engine, StepResult
    from residency.train.follow import lead
    from residency.train.loop import TrainResult, train

_HOMES = {
    "Batches": "batches",
    "Engine": "engine",
    "EpochBatches": "batches",
    "StepResult": "engine",
    "TrainResult": "loop",
    "lead": "follow",
    "train": "loop",
}

__all__ = ["Batches", "Engine", "EpochBatches", "StepResult", "TrainResult", "lead", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
