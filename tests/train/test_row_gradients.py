"""Sketches keep the angles between the gradients of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.load_model import load_model
from residency.train.row_gradients import sketch_row_gradients
from residency.train.train_engine import Engine
from small import save_model


def make_row(ids: list[int]) -> TokenRow:
    return TokenRow(str(ids), tuple(ids), tuple(place >= 3 for place in range(len(ids))))


def compute_cosines(vectors: np.ndarray) -> np.ndarray:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def test_sketches_keep_the_angles_of_the_exact_gradients(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    settings = TrainConfig()
    rows = [
        make_row(ids)
        for ids in ([5, 6, 7, 8, 9, 10], [5, 6, 7, 8, 9, 11], [20, 21, 22, 23, 24, 25, 26])
    ]
    engine = Engine(load_model(folder, device="cpu"), settings, total_steps=1, seed=0, longest=7)
    exact = []
    for row in rows:
        engine.optimizer.zero_grad(set_to_none=True)
        with engine.decoder.flat_attending():
            engine.add_row_gradients(row, 1.0)
        grads = [p.grad for p in engine.trainable.values() if p.grad is not None]
        exact.append(torch.cat([g.flatten() for g in grads]).numpy())
    sketches = sketch_row_gradients(folder, None, [*rows, rows[0]], settings, device="cpu")
    assert np.array_equal(sketches[0], sketches[3])
    # 4096 sums: the standard error of a cosine is about 1 / 64.
    np.testing.assert_allclose(
        compute_cosines(sketches[:3]), compute_cosines(np.stack(exact)), atol=0.08
    )
