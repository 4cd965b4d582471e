"""Did a rate fall further on one set of items than on another? Dev against the sealed test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.stats.training_permutation import compare_by_welch

_DRAWS = 9_999
_FEWEST = 6


@dataclass(frozen=True)
class FallsCompared:
    """A fall on two sets of groups.

    Attributes:
        first, second: how far the rate fell on each, mean over groups.
        first_groups, second_groups: groups of each.
        p_value: two-sided p of “it fell alike”, the larger of a permutation of the groups between
            the sets (seeded, 9999 draws) and Welch's test; 1 with fewer than six groups on a side.
    """

    first: float
    second: float
    first_groups: int
    second_groups: int
    p_value: float

    @property
    def difference(self) -> float:
        """How much further it fell on the first set."""
        return self.first - self.second


def compare_falls(first: Sequence[float], second: Sequence[float]) -> FallsCompared:
    """Whether the falls of two independent sets of groups differ beyond chance.

    Args:
        first, second: how far each group's mean failure fell (negative: it rose).
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    means = (float(a.mean()) if a.size else 0.0, float(b.mean()) if b.size else 0.0)
    if min(a.size, b.size) < _FEWEST:
        return FallsCompared(*means, a.size, b.size, 1.0)
    p_value = max(_permute_groups(a, b), _welch_p(a, b))
    return FallsCompared(*means, a.size, b.size, p_value)


def _permute_groups(a: np.ndarray, b: np.ndarray) -> float:
    pooled = np.concatenate([a, b])
    observed = abs(float(a.mean() - b.mean())) - 1e-12
    rng = np.random.default_rng(0)
    total, hits = float(pooled.sum()), 1
    for _ in range(_DRAWS):
        inside = float(rng.permutation(pooled)[: a.size].sum())
        hits += abs(inside / a.size - (total - inside) / b.size) >= observed
    return hits / (_DRAWS + 1)


def _welch_p(a: np.ndarray, b: np.ndarray) -> float:
    if a.var() + b.var() <= 1e-12:  # no group differs from another: only the permutation can speak
        return 0.0
    return compare_by_welch(a, b)[0]
