"""Exact tests of paired differences over groups, and the evidence that may be watched.

A group's difference is how far its mean failure fell, in [−1, 1]. Where two models are alike
their outcomes on a group could be swapped, which flips the difference's sign: that is the null
hypothesis, and every way to swap is equally likely (Fisher's sign-flip test). Where every group
is one item it is the exact McNemar test.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from residency.stats import special

Floats = np.ndarray[Any, np.dtype[np.float64]]

_GRID = 50_000
"""Steps of the exact distribution above which signs are drawn by chance instead."""
_DRAWS = 20_000


@dataclass(frozen=True)
class SignFlipTest:
    """Two-sided p of Σ d, and the values that p can take with these magnitudes, ascending."""

    p_value: float
    attainable: tuple[float, ...]

    def largest_attainable(self, p: float) -> float:
        """The largest attainable p ≤ ``p``, or 0: what one such test risks at threshold ``p``."""
        index = bisect_right(self.attainable, p * (1 + 1e-12))
        return self.attainable[index - 1] if index else 0.0


NO_CHANGE = SignFlipTest(1.0, (1.0,))


def sign_flip_test(differences: Sequence[float]) -> SignFlipTest:
    """Exact two-sided sign-flip test of Σ d = 0, conditional on the magnitudes.

    Exact by convolution where the magnitudes lie on a grid of moderate size (means of groups of
    a few items do); otherwise 20 000 seeded random flips, whose p = (1 + hits) / (1 + draws) is
    valid too, and whose attainable values are taken as those of the draws.
    """
    magnitudes = np.abs(np.asarray(differences, np.float64))
    magnitudes = magnitudes[magnitudes > 1e-12]
    if not magnitudes.size:
        return NO_CHANGE
    if np.all(np.abs(magnitudes - magnitudes[0]) < 1e-12):
        changed = magnitudes.size
        better = sum(d > 1e-12 for d in differences)
        return SignFlipTest(mcnemar_p(better, changed - better), _mcnemar_values(changed))
    total = abs(float(np.sum(differences)))
    steps = _grid_steps(magnitudes)
    if steps is not None:
        return _exact_flips(steps, total / (float(magnitudes[0]) / steps[0]))
    return _drawn_flips(magnitudes, total)


def _grid_steps(magnitudes: Floats) -> list[int] | None:
    """The magnitudes as whole steps of one unit; None where that needs too many."""
    for denominator in (
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        12,
        15,
        18,
        20,
        24,
        30,
        36,
        42,
        60,
        84,
        120,
        840,
    ):
        scaled = magnitudes * denominator
        if np.all(np.abs(scaled - np.round(scaled)) < 1e-6):
            steps = np.round(scaled).astype(int)
            return steps.tolist() if int(steps.sum()) <= _GRID else None
    return None


def _exact_flips(steps: Sequence[int], total: float) -> SignFlipTest:
    counts = np.zeros(1)
    counts[0] = 1.0
    for step in steps:  # how likely each sum of the flipped steps is
        longer = np.zeros(counts.size + step)
        longer[: counts.size] += counts / 2
        longer[step:] += counts / 2
        counts = longer
    whole = sum(steps)
    # Σ ± = whole − 2·flipped; by symmetry the two tails are equal.
    distances = np.abs(whole - 2 * np.arange(counts.size))
    order = np.argsort(-distances, kind="stable")
    cumulated = np.cumsum(counts[order])
    far = distances[order]
    last = np.append(far[1:] != far[:-1], True) & (cumulated > 0)
    reachable = np.minimum(1.0, cumulated[last])
    values = far[last]
    at = int(np.searchsorted(-values, -(total - 1e-6), side="right")) - 1
    attainable = tuple(dict.fromkeys(reachable.tolist()))
    return SignFlipTest(float(reachable[max(0, at)]), attainable)


def _drawn_flips(magnitudes: Floats, total: float) -> SignFlipTest:
    rng = np.random.default_rng(0)
    sums = np.zeros(_DRAWS)
    for magnitude in magnitudes:
        sums += magnitude * rng.choice((-1.0, 1.0), _DRAWS)
    far = np.sort(np.abs(sums))[::-1]
    hits = int((far >= total - 1e-9).sum())
    attainable = tuple(((1 + np.arange(_DRAWS + 1)) / (1 + _DRAWS)).tolist())
    return SignFlipTest((1 + hits) / (1 + _DRAWS), attainable)


@lru_cache(maxsize=65536)
def mcnemar_p(better: int, worse: int) -> float:
    """Exact McNemar: min(1, 2·P(Bin(b + c, ½) ≤ min(b, c))); 1 when nothing changed."""
    changed = better + worse
    if not changed:
        return 1.0
    return min(1.0, 2.0 * float(special.bdtr(min(better, worse), changed, 0.5)))


@lru_cache(maxsize=4096)
def _mcnemar_values(changed: int) -> tuple[float, ...]:
    """The values that exact p can take with ``changed`` changes, ascending."""
    return tuple(mcnemar_p(changed - k, k) for k in range(changed // 2 + 1))


def sign_e_value(better: int, worse: int) -> float:
    """E = 2^(b+c)·B(b+½, c+½)/B(½, ½): evidence that may be looked at after every item.

    A Bayes factor under Jeffreys' prior for the share of changes that are fixes. Under the
    null its expectation is 1, so P(E ever ≥ 1/α) ≤ α (Ville) while items of the *same*
    comparison come in.
    """
    changed = better + worse
    log_e = (
        changed * math.log(2.0)
        + special.betaln(worse + 0.5, better + 0.5)
        - special.betaln(0.5, 0.5)
    )
    return float(math.exp(min(log_e, 700.0)))


def binomial_tail_p(failing: float, n: int, rate: float) -> float:
    """P(Bin(n, rate) ≤ failing): small where a failure rate of ``rate`` or more is implausible.

    ``failing`` may be a sum of group means; it is rounded up, which is on the safe side.
    """
    if n <= 0:
        return 1.0
    count = min(n, math.ceil(failing - 1e-9))
    return 1.0 if count >= n else float(special.bdtr(count, n, rate))


def hypergeometric_tail(bad: int, drawn: int, failing: int, n: int) -> float:
    """Chance of ``bad`` failures or more among ``drawn`` of ``n`` items of which ``failing`` fail."""
    if bad <= max(0, drawn + failing - n):
        return 1.0
    k = np.arange(bad, min(drawn, failing) + 1)
    logs = _log_choose(failing, k) + _log_choose(n - failing, drawn - k)
    return min(1.0, float(np.exp(logs - _log_choose(n, drawn)).sum()))


def _log_choose(n: int, k: Any) -> Any:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
