"""Where each row would move a model: one gradient a row, of fresh adapters, as a short sketch.

A sketch adds every number, with a random sign, to one of a few thousand sums (feature hashing,
Weinberger et al. 2009): inner products keep their expectation at the cost of one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.load_model import load_model
from residency.train.flat_batch import trained_tokens
from residency.train.train_engine import Engine

DIMENSIONS = 4096


def sketch_row_gradients(
    base: Path,
    adapter: Path | None,
    rows: Sequence[TokenRow],
    settings: TrainConfig,
    *,
    seed: int = 0,
    device: str = "auto",
    on_row: Callable[[int], None] = lambda done: None,
) -> np.ndarray[Any, np.dtype[Any]]:
    """Sketches of the rows' gradients, shape (rows, ``DIMENSIONS``), float32.

    Gradients of the mean loss of a row's trained tokens with respect to fresh adapters on the
    trained model, at their start, where only one of each adapter's two matrices has any.

    Args:
        adapter: the trained model's adapter or full weights, or None for the base itself.
        settings: which layers get adapters, and of what rank.
        seed: draws adapters and signs; sketches compare only under the same seed.
    """
    settings = settings.model_copy(
        update={"method": "lora", "objective": "response", "dropout": 0.0, "quantize": "none"}
    )
    model = load_model(base, adapter, device=device)
    longest = max((len(row.ids) for row in rows), default=0)
    engine = Engine(model, settings, total_steps=1, seed=seed, longest=longest)
    size = sum(parameter.numel() for parameter in engine.trainable.values())
    rng = np.random.default_rng(seed)
    places = rng.integers(0, DIMENSIONS, size)
    signs = rng.integers(0, 2, size, dtype=np.int8).astype(np.float32) * 2 - 1
    sketches = np.zeros((len(rows), DIMENSIONS), np.float32)
    for number, row in enumerate(rows):
        gradient = _flatten_gradient(engine, row)
        sketches[number] = np.bincount(places, gradient * signs, DIMENSIONS)
        on_row(number + 1)
    return sketches


def _flatten_gradient(engine: Engine, row: TokenRow) -> np.ndarray[Any, np.dtype[Any]]:
    engine.optimizer.zero_grad(set_to_none=True)
    with engine.decoder.flat_attending():
        engine.add_row_gradients(row, row.weight * max(1, trained_tokens(row)))
    parts = [
        np.zeros(p.numel(), np.float32)
        if p.grad is None
        else p.grad.detach().float().cpu().numpy().ravel()
        for p in engine.trainable.values()
    ]
    engine.optimizer.zero_grad(set_to_none=True)
    return np.concatenate(parts)
