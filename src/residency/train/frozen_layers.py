"""The frozen layers' states of many rows, computed once before several trainings share them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.load_model import pick_device
from residency.train.train_engine import Engine
from residency.train.train_loop import load_base


def compute_frozen_layers(
    base: Path,
    rows: Sequence[TokenRow],
    settings: TrainConfig,
    folder: Path,
    *,
    identity: str,
    threads: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Fill ``folder`` with what leaves the frozen layers for these rows; bytes a token, 0 without any.

    Args:
        folder: a ``trunk_cache`` for trainings on these rows, or on some of them.
        identity: of the base's weights, as the trainings name it.
    """
    if threads:
        torch.set_num_threads(threads)
    model = load_base(base, settings, pick_device(device))
    longest = max((max(len(row.ids), len(row.rejected_ids)) for row in rows), default=0)
    engine = Engine(
        model, settings, total_steps=1, seed=0, trunk=folder, longest=longest, identity=identity
    )
    engine.fill_trunk(rows, progress)
    return engine.trunk.token_bytes if engine.trunk is not None else 0
