"""What so many items can show: the chance to find a fall, and the smallest that shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from residency.stats import special
from residency.stats.exact_tests import mcnemar_p, sign_flip_test

_TRIALS = 200
_STEPS = 12


def _load_binomial() -> Any:
    """SciPy's binomial. Imported here: it takes a second, and figures that are only shown need none."""
    from scipy.stats import binom

    return binom


@lru_cache(maxsize=4096)
def _fewest_fixes(n: int, alpha: float) -> tuple[int, ...]:
    """For each number of changes N = 0…n the fewest fixes that give exact p ≤ alpha (N+1: none)."""
    fewest, binomial = [], _load_binomial()
    for changed in range(n + 1):
        worse = int(binomial.ppf(alpha / 2, changed, 0.5)) if changed else 0
        while worse >= 0 and mcnemar_p(changed - worse, worse) > alpha:
            worse -= 1
        fewest.append(changed - worse if worse >= 0 else changed + 1)
    return tuple(fewest)


def chance_to_show(n: int, alpha: float, base_rate: float, fall: float) -> float:
    """Chance that the exact test at ``alpha`` shows a true fall of the failure rate of lone items.

    The items' outcomes before and after are taken as independent given the two rates, the
    least favourable case met in practice: real outcomes are correlated, which leaves fewer
    changes by chance.
    """
    after = base_rate - fall
    fixes, breaks = base_rate * (1 - after), after * (1 - base_rate)
    changed = fixes + breaks
    if changed <= 0 or n <= 0:
        return 0.0
    counts = np.arange(n + 1)
    needed = np.asarray(_fewest_fixes(n, alpha))
    binomial = _load_binomial()
    enough = binomial.sf(needed - 1, counts, fixes / changed)
    return float(binomial.pmf(counts, n, min(1.0, changed)) @ enough)


def chance_from_failures(n: int, failing: int, alpha: float, mended: float) -> float:
    """Chance that the test at ``alpha`` shows a fall where ``failing`` of n lone items failed before.

    What failed before is known by then, so only the outcomes after are open: each item fails with
    the rate that is left, (failing/n)·(1 − mended), whatever it did before. That is the least
    favourable case met in practice (``chance_to_show``).
    """
    if n <= 0 or failing <= 0:
        return 0.0
    after = failing / n * (1 - mended)
    fixed, broken = np.arange(failing + 1), np.arange(n - failing + 1)
    needed = np.asarray(_fewest_fixes(n, alpha))
    enough = fixed[:, None] >= needed[fixed[:, None] + broken[None, :]]
    binomial = _load_binomial()
    of_fixed = binomial.pmf(fixed, failing, 1 - after)
    of_broken = binomial.pmf(broken, n - failing, after)
    return float(of_fixed @ enough @ of_broken)


def count_rows_to_show(
    rate: float, fall: float, alpha: float, *, power: float = 0.8, most: int = 5000
) -> int | None:
    """Lone items that a slice needs so that a fall by ``fall`` from ``rate`` is shown with ``power``.

    None: more than ``most``, or the fall is larger than the rate.
    """
    if not 0 < fall <= rate:
        return None
    low, high = 0, 8
    while chance_to_show(high, alpha, rate, fall) < power:
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if chance_to_show(middle, alpha, rate, fall) >= power:
            high = middle
        else:
            low = middle
    return high


def minimum_detectable(
    before: Sequence[float], sizes: Sequence[int], alpha: float, power: float = 0.8
) -> float:
    """Smallest true fall of the failure rate that the test over groups finds with chance ``power``.

    The failures before are those that were seen. For lone items exactly, over all outcomes after
    that may come (``chance_from_failures``). For groups of several items by simulating the test
    itself: the failures after are those of groups drawn anew, so that items of one group agree as
    much as they do now, each mended with the chance that makes the fall, whatever it did before.

    Args:
        before: mean failure of each group measured. sizes: its items. alpha: level of this one
            decision.

    Returns:
        A fall in (0, rate], or ``inf`` when even a fall to zero would be missed too often.
    """
    if max(sizes, default=1) == 1:
        return _detectable_of_items(len(before), round(sum(before)), alpha, power)
    return _detectable_of_groups(tuple(before), tuple(sizes), alpha, power)


@lru_cache(maxsize=65536)
def _detectable_of_items(n: int, failing: int, alpha: float, power: float) -> float:
    if chance_from_failures(n, failing, alpha, 1.0) < power:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        if chance_from_failures(n, failing, alpha, middle) >= power:
            high = middle
        else:
            low = middle
    return high * failing / n


@lru_cache(maxsize=4096)
def _detectable_of_groups(
    before: tuple[float, ...], sizes: tuple[int, ...], alpha: float, power: float
) -> float:
    rate = float(np.mean(before))
    if rate <= 0:
        return math.inf
    low, high = 0, _STEPS  # in twelfths of the rate
    if _share_shown(before, sizes, alpha, 1.0) < power:
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        if _share_shown(before, sizes, alpha, middle / _STEPS) >= power:
            high = middle
        else:
            low = middle
    return rate * high / _STEPS


def _share_shown(
    before: Sequence[float], sizes: Sequence[int], alpha: float, mended: float
) -> float:
    """Share of simulated outcomes in which the test at ``alpha`` shows the fall."""
    rng = np.random.default_rng(0)
    was, size = np.asarray(before), np.asarray(sizes)
    shown = 0
    for _ in range(_TRIALS):
        now = was[rng.integers(0, was.size, was.size)]
        after = rng.binomial(size, np.clip(now * (1 - mended), 0, 1)) / size
        differences = was - after
        shown += float(differences.sum()) > 0 and _reaches_alpha(differences, alpha)
    return shown / _TRIALS


def _reaches_alpha(differences: np.ndarray, alpha: float) -> bool:
    """Whether the exact test reaches ``alpha``; far from it, its normal form decides."""
    changed = differences[differences != 0]
    if not changed.size or 2.0 ** (1 - changed.size) > alpha:
        return False
    z = float(changed.sum() / np.sqrt((changed**2).sum()))
    needed = float(-special.ndtri(alpha / 2))
    if abs(z - needed) > 0.4:
        return z > needed
    return sign_flip_test(differences.tolist()).p_value <= alpha
