"""What the data did: two ways to train, compared at the level of trainings.

One training differs from the next by seed, order and draw of rows; that luck moves all items of a
slice together, so items cannot stand for trainings. With several trainings of each arm their
labels can be permuted: if the arms are alike, every assignment was equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

_MOST = 200_000


@dataclass(frozen=True)
class TrainingsCompared:
    """Failure rates of the trainings of two arms.

    Attributes:
        control, targeted: trainings of each arm.
        delta: mean failure rate of the control arm minus that of the targeted one.
        low, high: Welch's 95 % interval of it; (−1, 1) with fewer than two trainings an arm.
        p_value: exact two-sided permutation p; 1 where the arms cannot be told apart.
        smallest_p: the smallest p that so many trainings can give.
        noise: standard deviation between trainings of one arm (pooled); None: not known.
    """

    control: int = 0
    targeted: int = 0
    delta: float = 0.0
    low: float = -1.0
    high: float = 1.0
    p_value: float = 1.0
    smallest_p: float = 1.0
    noise: float | None = None

    @property
    def can_tell(self) -> bool:
        """Whether so many trainings could show a difference at 5 % at all."""
        return self.smallest_p <= 0.05

    @property
    def sentence(self) -> str:
        """What may be said of the data."""
        if not self.can_tell:
            return (
                f"Whether the data made the difference cannot be told from {self.control} control "
                f"and {self.targeted} targeted training(s): another seed or draw of rows moves whole "
                "slices. At least 4 of each are needed."
            )
        if self.p_value > 0.05:
            return (
                f"No difference between the data of the arms could be shown over {self.control} "
                f"and {self.targeted} trainings (p = {self.p_value:.2g})."
            )
        better = "targeted" if self.delta > 0 else "random"
        return (
            f"The {better} rows mended more, over {self.control} control and {self.targeted} "
            f"targeted trainings: {100 * abs(self.delta):.1f} points (p = {self.p_value:.2g})."
        )


def compare_trainings(control: Sequence[float], targeted: Sequence[float]) -> TrainingsCompared:
    """Exact permutation test of the difference of means between two arms' trainings.

    Args:
        control, targeted: one figure a training (its failure rate on the issues aimed at).
    """
    a, b = np.asarray(control, np.float64), np.asarray(targeted, np.float64)
    if not a.size or not b.size:
        return TrainingsCompared(a.size, b.size)
    delta = float(a.mean() - b.mean())
    low, high = -1.0, 1.0
    noise: float | None = None
    if a.size > 1 and b.size > 1:
        squares = float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum())
        noise = math.sqrt(squares / (a.size + b.size - 2))
        found = (
            stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
            if noise > 1e-9
            else None
        )
        if found is not None and math.isfinite(found.low):
            low, high = max(-1.0, float(found.low)), min(1.0, float(found.high))
    p_value, smallest = _permute_trainings(a, b)
    return TrainingsCompared(a.size, b.size, delta, low, high, p_value, smallest, noise)


def _permute_trainings(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    pooled = np.concatenate([a, b])
    ways = math.comb(pooled.size, a.size)
    # With arms of equal size every assignment and its mirror are equally far from zero.
    smallest = min(1.0, (2 if a.size == b.size else 1) / ways)
    observed = abs(float(a.mean() - b.mean()))
    if ways > _MOST:
        rng = np.random.default_rng(0)
        chosen = [rng.permutation(pooled.size)[: a.size] for _ in range(20_000)]
        hits = 1 + sum(
            _measure_distance(pooled, index, b.size) >= observed - 1e-12 for index in chosen
        )
        return hits / 20_001, smallest
    hits = sum(
        _measure_distance(pooled, np.asarray(index), b.size) >= observed - 1e-12
        for index in combinations(range(pooled.size), a.size)
    )
    return hits / ways, smallest


def _measure_distance(pooled: np.ndarray, index: np.ndarray, others: int) -> float:
    inside = float(pooled[index].sum())
    return abs(inside / index.size - (float(pooled.sum()) - inside) / others)
