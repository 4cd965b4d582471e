"""What the data did: two ways to choose rows, compared at the level of trainings.

One training differs from the next by seed, order and draw of rows; that luck moves all items of a
slice together, so items cannot stand for trainings. Trainings with random rows differ in seed and
draw, those with targeted rows in seed alone. So there are two questions:

1. Do *these* rows mend more than random rows do on average? The labels of the trainings are permuted
   (exact where the arms are alike), and Welch's test must agree: a permutation alone is wrong where
   one arm varies more than the other.
2. Do they mend more than *one more random draw* would? Only that says that choosing did it: any one
   draw lies off the mean of all draws. The mean of the targeted arm must lie outside the prediction
   interval of a further draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np

from residency.stats import special
from residency.stats.trainings_compared import TrainingsCompared

_MOST = 200_000


def compare_trainings(
    control: Sequence[float], targeted: Sequence[float], *, alpha: float = 0.05
) -> TrainingsCompared:
    """Compare the trainings of two arms by one figure each.

    Args:
        control, targeted: one figure a training (its failure rate on the issues aimed at).
        alpha: level of the question.
    """
    a, b = np.asarray(control, np.float64), np.asarray(targeted, np.float64)
    if not a.size or not b.size:
        return TrainingsCompared(a.size, b.size, alpha=alpha)
    delta = float(a.mean() - b.mean())
    low, high, welch = -1.0, 1.0, 1.0
    noise: float | None = None
    if a.size > 1 and b.size > 1:
        squares = float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum())
        noise = math.sqrt(squares / (a.size + b.size - 2))
        if noise <= 1e-9:  # every training of an arm alike: only the permutation can speak
            welch = 0.0
        else:
            welch, reach = compare_by_welch(a, b)
            low, high = max(-1.0, delta - reach), min(1.0, delta + reach)
    p_value, smallest = _permute_trainings(a, b)
    return TrainingsCompared(
        a.size,
        b.size,
        delta,
        low,
        high,
        max(p_value, welch),
        smallest,
        noise,
        _predict_draw(a, delta),
        measure_noise(b.tolist()),
        measure_noise(a.tolist()),
        alpha,
    )


def compare_by_welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Welch's test of two means: its two-sided p, and half the width of the 95 % interval.

    Either side may be constant, not both.
    """
    parts = float(a.var(ddof=1)) / a.size, float(b.var(ddof=1)) / b.size
    error = math.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1))
    p_value = float(2 * special.stdtr(freedom, -abs(float(a.mean() - b.mean())) / error))
    return p_value, float(special.stdtrit(freedom, 0.975)) * error


def measure_noise(rates: Sequence[float]) -> float | None:
    """How far two trainings differ (root mean square over pairs); None with fewer than two."""
    return float(np.std(rates, ddof=1) * math.sqrt(2)) if len(rates) > 1 else None


def _predict_draw(control: np.ndarray, delta: float) -> float:
    """p of “the targeted rows are one more random draw”, by Student's prediction interval."""
    if control.size < 2:
        return 1.0
    spread = float(control.std(ddof=1)) * math.sqrt(1 + 1 / control.size)
    if spread <= 1e-9:
        return 0.0 if abs(delta) > 1e-9 else 1.0
    return float(2 * special.stdtr(control.size - 1, -abs(delta) / spread))


def _permute_trainings(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    pooled = np.concatenate([a, b])
    ways = math.comb(pooled.size, a.size)
    # With arms of equal size every assignment and its mirror are equally far from zero.
    smallest = min(1.0, (2 if a.size == b.size else 1) / ways)
    observed = abs(float(a.mean() - b.mean())) - 1e-12
    if ways > _MOST:
        rng = np.random.default_rng(0)
        chosen = np.stack([rng.permutation(pooled.size)[: a.size] for _ in range(20_000)])
        return (1 + _count_as_far(pooled, chosen, observed)) / 20_001, smallest
    return _count_as_far(pooled, _list_assignments(pooled.size, a.size), observed) / ways, smallest


@lru_cache(maxsize=8)
def _list_assignments(trainings: int, chosen: int) -> np.ndarray:
    """Every way to choose so many of the trainings, shape (ways, chosen)."""
    return np.asarray(list(combinations(range(trainings), chosen)), np.int16)


def _count_as_far(pooled: np.ndarray, chosen: np.ndarray, observed: float) -> int:
    """Assignments whose means are at least as far apart as those observed."""
    inside = pooled[chosen].sum(axis=1)
    others = pooled.size - chosen.shape[1]
    apart = inside / chosen.shape[1] - (float(pooled.sum()) - inside) / others
    return int((np.abs(apart) >= observed).sum())
