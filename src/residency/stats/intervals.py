"""Intervals for rates and means when items come in groups (paraphrases, repeated samples)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from residency.stats import special
from residency.stats.delta_interval import FEWEST_GROUPS, delta_interval

Floats = np.ndarray[Any, np.dtype[np.float64]]


def clopper_pearson(events: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of ``events``/``n`` (Clopper, Pearson 1934); (0, 1) when n is 0.

    Real numbers are allowed, for effective sample sizes.
    """
    if n <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if events <= 0 else float(special.betaincinv(events, n - events + 1, tail))
    high = 1.0 if events >= n else float(special.betaincinv(events + 1, n - events, 1 - tail))
    return low, high


def rate_interval(
    failed: Sequence[bool], groups: Sequence[Hashable], level: float = 0.95
) -> tuple[float, float]:
    """Interval of a rate whose observations are dependent within groups.

    With one observation a group it is Clopper–Pearson. Otherwise Clopper–Pearson on the
    effective sample size after Korn and Graubard (1998): n divided by the design effect of
    the ratio estimator over groups, with their correction for few groups, and never more
    than n. When all observations agree the design effect is unknown: the number of groups
    is taken, as if each group were one observation.
    """
    n = len(failed)
    if n == 0:
        return 0.0, 1.0
    index = group_index(groups)
    count = int(index.max()) + 1
    y = np.asarray(failed, np.float64)
    if count == n:
        return clopper_pearson(float(y.sum()), n, level)
    p = float(y.mean())
    if count == 1 or p in (0.0, 1.0):
        return clopper_pearson(p * count, count, level)
    totals = np.bincount(index, y - p, count)
    variance = count / (count - 1) * float((totals**2).sum()) / n**2
    if variance <= 0:
        return clopper_pearson(p * n, n, level)
    tail = (1 + level) / 2
    few = (special.stdtrit(n - 1, tail) / special.stdtrit(count - 1, tail)) ** 2
    effective = min(p * (1 - p) / variance * float(few), float(n))
    return clopper_pearson(p * effective, effective, level)


def group_index(groups: Sequence[Hashable]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """0-based number of each observation's group, in order of first appearance."""
    seen: dict[Hashable, int] = {}
    return np.asarray([seen.setdefault(group, len(seen)) for group in groups], np.intp)


def mean_interval(
    values: Sequence[float],
    groups: Sequence[Hashable],
    *,
    signed: bool = False,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of a mean of values in [0, 1] (``signed``: in [−1, 1]), dependent within groups.

    Clopper–Pearson on the effective sample size where values are shares, ``delta_interval`` on
    effective counts where they are differences: the counts carry the variance between groups that
    is seen, at most ten times what a yes or no of each group would. So it never has width 0, also where
    all values agree or only a rare one does not.

    (nan, nan) without values; (−inf, inf) below ``FEWEST_GROUPS`` groups: so few say nothing.
    """
    if not values:
        return math.nan, math.nan
    index = group_index(groups)
    count = int(index.max()) + 1
    if count < FEWEST_GROUPS:
        return -math.inf, math.inf
    y = np.asarray(values, np.float64)
    n, mean = len(y), float(y.mean())
    totals = np.bincount(index, y - mean, count)
    variance = count / (count - 1) * float((totals**2).sum()) / n**2
    few = (special.ndtri((1 + level) / 2) / special.stdtrit(count - 1, (1 + level) / 2)) ** 2
    if signed or y.min() < 0:
        falls, rises = float(y[y > 0].sum()), float(-y[y < 0].sum())
        free = (falls + rises - (falls - rises) ** 2 / n) / n**2
        design = max(0.1 * n / count, variance / free) if free > 1e-12 else n / count
        return delta_interval(falls, rises, n, level=level, design=design / float(few))
    spread = mean * (1 - mean)
    if spread <= 0 or variance <= 0:
        return clopper_pearson(mean * count, count, level)
    effective = min(spread / variance, 10.0 * n) * float(few)
    return clopper_pearson(mean * effective, effective, level)
