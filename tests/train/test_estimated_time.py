"""The predicted seconds of a machine that keeps to a law are what that machine then takes."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from residency.train import estimate_probe
from residency.train.estimate_probe import fit_line
from residency.train.probe_batches import Sizes, batch_shape, choose_steps
from residency.train.step_cost import Cost
from residency.train.train_options import CHECKPOINT_EVERY

COST = Cost(per_token=3e9, per_trained=2e9)
START, SLOPE, FIRST, NEW_SHAPE, SAVE = 0.02, 4e-12, 1.5, 0.3, 0.8


def draw_batches(seed: int, steps: int) -> dict[int, Sizes]:
    draw = random.Random(seed)
    return {
        step: [
            (tokens, draw.randrange(1, tokens))
            for tokens in (draw.randrange(80, 4000) for _ in range(draw.randrange(1, 4)))
        ]
        for step in range(steps)
    }


def run_steps(batches: list[Sizes], known: set[Any]) -> list[float]:
    """Seconds of each step on the made-up machine."""
    seconds = []
    for sizes in batches:
        step = START + SLOPE * sum(COST.of(*size) for size in sizes)
        if not known:
            step += FIRST
        elif batch_shape(sizes) not in known:
            step += NEW_SHAPE
        known.add(batch_shape(sizes))
        seconds.append(step)
    return seconds


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("steps", [4, 30, 3 * CHECKPOINT_EVERY + 1])
def test_pain_20_time_is_known_before_the_run(seed: int, steps: int) -> None:
    """Start, first passes, new shapes, checkpoints and every batch's size are all counted."""
    sizes = draw_batches(seed, steps)
    chosen = choose_steps(sizes)
    tried = [sizes[step] for step in (*chosen, *chosen)]
    done = estimate_probe._ProbeRun(
        engine=SimpleNamespace(cost=COST),  # type: ignore[arg-type]
        rows=[], program=0, loaded=0, memory=0, seconds=0.0,
        steps=tuple(run_steps(tried, set())), save=SAVE, filling=0.0,
    )  # fmt: skip
    predicted = estimate_probe._predict_seconds(done, sizes, chosen, steps)
    real = sum(run_steps([sizes[step] for step in range(steps)], set()))
    real += (steps - 1) // CHECKPOINT_EVERY * SAVE
    assert predicted == pytest.approx(real, rel=1e-9)


def test_a_line_is_never_below_zero() -> None:
    assert fit_line([1, 2, 3], [1.5, 2.5, 3.5]) == pytest.approx((0.5, 1.0))
    assert fit_line([1, 2, 3], [0.5, 2.5, 4.5]) == pytest.approx((0.0, 7.5 / 6))  # start below zero
    assert fit_line([1, 2, 3], [3, 2, 1]) == pytest.approx((0.0, 1.0))  # slower when smaller
    assert fit_line([2, 2], [1, 3]) == pytest.approx((0.0, 1.0))  # batches of one size
