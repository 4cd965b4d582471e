"""The interval of a paired difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from residency.stats import special

FEWEST_GROUPS = 6
"""Below so many groups no exact test can reach 5 %: nothing is claimed, the interval is (−1, 1)."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_LEVELS = (_NODES + 1) / 2


@lru_cache(maxsize=65536)
def delta_interval(
    fixed: float, broken: float, n: float, *, level: float = 0.95, design: float = 1.0
) -> tuple[float, float]:
    """Equal-tailed Bayesian interval of Δ = P(fixed) − P(broken), in [−1, 1].

    Jeffreys' multinomial prior: the share of items that change is Beta(b+c+1, n−b−c+1), and
    independently the share of changes that are fixes is Beta(c+½, b+½), the prior of the
    e-value. ``design`` divides all counts. Without items it is (−1, 1).
    """
    if n <= 0:
        return -1.0, 1.0
    c, b, items = fixed / design, broken / design, n / design
    inverse = 0.5 / special.betaincinv(c + b + 1, items - c - b + 1, _LEVELS)
    weights = _WEIGHTS / 2

    def below(x: float) -> float:
        share = np.minimum(np.maximum(0.5 + x * inverse, 0.0), 1.0)
        return float(weights @ special.betainc(c + 0.5, b + 0.5, share))

    # Where every item changed the same way the posterior's tail leaves the estimate out.
    estimate = (c - b) / items
    low, high = _invert_posterior(below, (1 - level) / 2), _invert_posterior(below, (1 + level) / 2)
    return min(low, estimate), max(high, estimate)


def interval_of_differences(
    differences: Sequence[float], sizes: Sequence[int] = (), *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean of differences in [−1, 1], one a group.

    ``delta_interval`` with the sum of the falls and the sum of the rises instead of counts,
    which are then scaled so that they carry the variance that is seen between groups (Korn and
    Graubard 1998, with their correction for few groups). It never has width 0, and is (−1, 1)
    below ``FEWEST_GROUPS`` groups.

    Args:
        sizes: items of each group (default one each). Where groups agree more than free items
            would, they are taken for free items and not for more.
    """
    groups = len(differences)
    if groups < FEWEST_GROUPS:
        return -1.0, 1.0
    values = np.asarray(differences, np.float64)
    falls, rises = float(values[values > 0].sum()), float(-values[values < 0].sum())
    lone = not sizes or max(sizes) == 1
    if lone and np.all(np.isin(values, (-1.0, 0.0, 1.0))):
        return delta_interval(falls, rises, groups, level=level)
    free = falls + rises - (falls - rises) ** 2 / groups
    least = 1 / (float(np.mean(sizes)) if sizes else 6.0)
    seen = float(((values - values.mean()) ** 2).sum())
    design = max(least, seen / free) if free > 0 else 1.0
    few = float(special.stdtrit(groups - 1, (1 + level) / 2) / special.ndtri((1 + level) / 2))
    design *= few**2
    return delta_interval(falls, rises, groups, level=level, design=design)


def _invert_posterior(below: Callable[[float], float], target: float) -> float:
    ends = below(-1.0) - target, below(1.0) - target
    if ends[0] >= 0 or ends[1] <= 0:
        return -1.0 if ends[0] >= 0 else 1.0
    # Imported here: half of a second, and figures that are only shown do not need it.
    from scipy import optimize

    return float(optimize.brentq(lambda x: below(x) - target, -1.0, 1.0, xtol=1e-9))


def score_interval(fixed: int, broken: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of Δ = P(fixed) − P(broken) of n pairs (Tango 1998), continuity-corrected.

    For claims of sameness against a margin: at the margin its end lies beyond it in at most the
    promised share of cases, also where few pairs changed. (−1, 1) without pairs.
    """
    if n <= 0:
        return -1.0, 1.0
    critical = float(special.ndtri((1 + level) / 2))
    estimate = (fixed - broken) / n

    def far(delta: float) -> bool:
        """Whether a true difference of ``delta`` is implausible."""
        linear = -fixed - broken + (2 * n - fixed + broken) * delta
        rest = -broken * delta * (1 - delta)
        share = (np.sqrt(linear**2 - 8 * n * rest) - linear) / (4 * n)
        variance = n * (2 * share + delta * (1 - delta))
        distance = abs(fixed - broken - n * delta) - 0.5
        return bool(distance > critical * np.sqrt(max(variance, 0.0)))

    def search(end: float) -> float:
        near, beyond = estimate, end
        if not far(end):
            return end
        for _ in range(40):
            middle = (near + beyond) / 2
            if far(middle):
                beyond = middle
            else:
                near = middle
        return near

    return search(-1.0), search(1.0)
