"""Intervals for rates and means when items come in groups (paraphrases, repeated samples)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy import stats

Floats = np.ndarray[Any, np.dtype[np.float64]]


def clopper_pearson(events: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of ``events``/``n`` (Clopper, Pearson 1934); (0, 1) when n is 0.

    Real numbers are allowed, for effective sample sizes.
    """
    if n <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if events <= 0 else float(stats.beta.ppf(tail, events, n - events + 1))
    high = 1.0 if events >= n else float(stats.beta.ppf(1 - tail, events + 1, n - events))
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
    few = (stats.t.ppf(tail, n - 1) / stats.t.ppf(tail, count - 1)) ** 2
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
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, resampling whole groups; seeded.

    (nan, nan) without values; with one group nothing can be resampled: (-inf, inf).
    """
    if not values:
        return math.nan, math.nan
    index = group_index(groups)
    count = int(index.max()) + 1
    if count == 1:
        return -math.inf, math.inf
    sums = np.bincount(index, np.asarray(values, np.float64), count)
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    means = (weights @ sums) / (weights @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
