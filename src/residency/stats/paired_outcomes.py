"""Statistics of paired yes/no outcomes: exact, and honest about small numbers.

Notation: an item *fails* or not, before and after. ``fixed`` = c counts failing → not failing,
``broken`` = b the reverse. Δ = (c − b) / n, positive is better. Items of one group
(paraphrases, repeated samples of one prompt) are not independent, so tests count groups:
a group votes *better*, *worse* or not at all. Where every group holds one item this is the
exact McNemar test.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats


@dataclass(frozen=True)
class Paired:
    """Counts of one paired comparison.

    Attributes:
        n: items scored in both; unscored: items that were not.
        failing_before, failing_after: failures among those n.
        fixed, broken: items that changed.
        better, worse: groups whose failures fell or rose. groups: groups scored.
        design: design effect, ≥ 1: variance of Δ with groups over variance with free items.
        fixed_ids, broken_ids: which items changed, sorted.
    """

    n: int
    unscored: int
    failing_before: int
    failing_after: int
    fixed: int
    broken: int
    better: int
    worse: int
    groups: int
    design: float = 1.0
    fixed_ids: tuple[str, ...] = ()
    broken_ids: tuple[str, ...] = ()

    @property
    def before_rate(self) -> float:
        """Failure rate before (0 without items)."""
        return self.failing_before / self.n if self.n else 0.0

    @property
    def after_rate(self) -> float:
        """Failure rate after (0 without items)."""
        return self.failing_after / self.n if self.n else 0.0

    @property
    def delta(self) -> float:
        """(fixed − broken) / n: how far the failure rate fell."""
        return (self.fixed - self.broken) / self.n if self.n else 0.0

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar p, over groups."""
        return exact_p(self.better, self.worse)

    @property
    def e_value(self) -> float:
        """Anytime-valid evidence that outcomes changed, over groups."""
        return e_value(self.better, self.worse)


def pair(
    before: Mapping[str, bool | None],
    after: Mapping[str, bool | None],
    *,
    groups: Mapping[str, str] | None = None,
    only: set[str] | None = None,
) -> Paired:
    """Counts of two models' outcomes (True = failed, None = unscored) on the items both have.

    Args:
        groups: item → group; an item without an entry is its own group.
        only: the items to use (the measuring half); None means all.
    """
    shared = [key for key in before if key in after and (only is None or key in only)]
    changes: dict[Hashable, int] = {}
    sizes: dict[Hashable, int] = {}
    fixed: list[str] = []
    broken: list[str] = []
    n = unscored = failing_before = failing_after = 0
    for key in shared:
        was, now = before[key], after[key]
        if was is None or now is None:
            unscored += 1
            continue
        n += 1
        failing_before += was
        failing_after += now
        group = (groups.get(key) or key) if groups else key
        changes[group] = changes.get(group, 0) + int(was) - int(now)
        sizes[group] = sizes.get(group, 0) + 1
        if was and not now:
            fixed.append(key)
        elif now and not was:
            broken.append(key)
    return Paired(
        n=n,
        unscored=unscored,
        failing_before=failing_before,
        failing_after=failing_after,
        fixed=len(fixed),
        broken=len(broken),
        better=sum(change > 0 for change in changes.values()),
        worse=sum(change < 0 for change in changes.values()),
        groups=len(changes),
        design=_design_effect(changes, sizes, n, len(fixed), len(broken)),
        fixed_ids=tuple(sorted(fixed)),
        broken_ids=tuple(sorted(broken)),
    )


def _design_effect(
    changes: Mapping[Hashable, int], sizes: Mapping[Hashable, int], n: int, c: int, b: int
) -> float:
    if len(changes) == n or n < 2 or not c + b:
        return 1.0
    mean = (c - b) / n
    free = c + b - (c - b) ** 2 / n
    clustered = sum((changes[g] - sizes[g] * mean) ** 2 for g in changes)
    return max(1.0, clustered / free) if free > 0 else 1.0


@lru_cache(maxsize=65536)
def exact_p(better: int, worse: int) -> float:
    """Exact McNemar: min(1, 2·P(Bin(b + c, ½) ≤ min(b, c))); 1 when nothing changed."""
    changed = better + worse
    if not changed:
        return 1.0
    return min(1.0, 2.0 * float(special.bdtr(min(better, worse), changed, 0.5)))


def e_value(better: int, worse: int) -> float:
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


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_LEVELS = (_NODES + 1) / 2


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
    changed = stats.beta.ppf(_LEVELS, c + b + 1, items - c - b + 1)
    weights = _WEIGHTS / 2

    def below(x: float) -> float:
        share = np.clip((1 + x / changed) / 2, 0.0, 1.0)
        return float(weights @ special.betainc(c + 0.5, b + 0.5, share))

    # Where every item changed the same way the posterior's tail leaves the estimate out.
    estimate = (c - b) / items
    low, high = _invert(below, (1 - level) / 2), _invert(below, (1 + level) / 2)
    return min(low, estimate), max(high, estimate)


def _invert(below: object, target: float) -> float:
    low, high = -1.0, 1.0
    assert callable(below)
    for _ in range(30):
        middle = (low + high) / 2
        if below(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def rate_bounds(failing: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Clopper–Pearson interval of a rate, each side at (1 − level)/2; (0, 1) without items."""
    if n <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if failing <= 0 else float(special.betaincinv(failing, n - failing + 1, tail))
    high = 1.0 if failing >= n else float(special.betaincinv(failing + 1, n - failing, 1 - tail))
    return low, high


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: reject where ≤ α; any false claim ≤ α under any dependence."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


@lru_cache(maxsize=4096)
def _attainable(changed: int) -> tuple[float, ...]:
    """The values that exact p can take with ``changed`` changes, ascending."""
    return tuple(exact_p(changed - k, k) for k in range(changed // 2 + 1))


def _floor(changed: int, p: float) -> float:
    """The largest attainable exact p ≤ ``p``, or 0: what one such issue risks at threshold p."""
    values = _attainable(changed)
    place = bisect.bisect_right(values, p * (1 + 1e-12))
    return values[place - 1] if place else 0.0


def threshold(others: Sequence[int], alpha: float, *, apart: int = 0) -> float:
    """The p-value up to which one more issue may be claimed beside undecided others.

    The largest t with t + Σ F_j(t) + apart·t ≤ alpha; at least alpha / (number of issues).

    Args:
        others: number of changes of each other issue of the same pair of models.
        apart: number of other issues with another reference model.
    """
    low, high = alpha / (1 + len(others) + apart), alpha / (1 + apart)
    if (1 + apart) * high + sum(_floor(n, high) for n in others) <= alpha:
        return high
    for _ in range(20):
        middle = (low + high) / 2
        if (1 + apart) * middle + sum(_floor(n, middle) for n in others) <= alpha:
            low = middle
        else:
            high = middle
    return low


def discrete_holm(
    pairs: Sequence[tuple[int, int]], families: Sequence[str] | None = None
) -> list[float]:
    """Holm's step-down for exact McNemar p-values, using that they are discrete.

    With N changes p takes few values; below 2^(1−N) it cannot fall at all. So an issue j can
    go wrong at threshold t only with probability F_j(t), its largest attainable p ≤ t, and the
    adjusted p of i is Σ F_j(p_i) over the issues not yet rejected (Westfall and Wolfinger
    1997; Tarone 1990): issues with few changes cost nothing. Never above Holm's.

    F_j is conditional on the numbers of changes. That is exact for issues that compare the same
    two models: where nothing changed the models' outcomes could be swapped, jointly for those
    issues. Issues of other reference models share only the later model, so a number of changes
    there says something about a direction here; they are charged the full p_i instead, as
    Holm does. Any false claim ≤ α follows: a family of m of the M issues errs with at most
    α·m/M.

    Args:
        pairs: (better, worse) of each issue, in groups.
        families: reference model of each issue; default one for all.
    """
    names = list(families) if families is not None else [""] * len(pairs)
    p = [exact_p(better, worse) for better, worse in pairs]
    order = sorted(range(len(pairs)), key=lambda i: p[i])
    adjusted = [1.0] * len(pairs)
    running = 0.0
    for rank, index in enumerate(order):
        total = sum(
            _floor(sum(pairs[other]), p[index]) if names[other] == names[index] else p[index]
            for other in order[rank:]
        )
        running = max(running, min(1.0, total))
        adjusted[index] = running
    return adjusted


@lru_cache(maxsize=4096)
def _critical(n: int, alpha: float) -> tuple[int, ...]:
    """For each number of changes N = 0…n the fewest fixes that give exact p ≤ alpha (N+1: none)."""
    out = []
    for changed in range(n + 1):
        worse = int(stats.binom.ppf(alpha / 2, changed, 0.5)) if changed else 0
        while worse >= 0 and exact_p(changed - worse, worse) > alpha:
            worse -= 1
        out.append(changed - worse if worse >= 0 else changed + 1)
    return tuple(out)


def chance_to_show(n: int, alpha: float, base_rate: float, fall: float) -> float:
    """Chance that the exact test at ``alpha`` shows a true fall of the failure rate.

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
    needed = np.asarray(_critical(n, alpha))
    enough = stats.binom.sf(needed - 1, counts, fixes / changed)
    return float(stats.binom.pmf(counts, n, min(1.0, changed)) @ enough)


@lru_cache(maxsize=65536)
def minimum_detectable(n: int, alpha: float, base_rate: float, power: float = 0.8) -> float:
    """Smallest true fall of the failure rate found with chance ``power``.

    Args:
        n: independent items (groups) measured. alpha: level of this one decision, that is
            the round's share of α divided by the number of issues judged in it.
        base_rate: failure rate before.

    Returns:
        A fall in (0, base_rate], or ``inf`` when even a fall to zero would be missed too often.
    """
    if chance_to_show(n, alpha, base_rate, base_rate) < power:
        return math.inf
    low, high = 0.0, base_rate
    for _ in range(14):
        middle = (low + high) / 2
        if chance_to_show(n, alpha, base_rate, middle) >= power:
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True)
class PairedComparison:
    """``compare_paired``'s answer: the counts, Δ with its interval, p and e."""

    counts: Paired
    low: float
    high: float
    level: float

    @property
    def p_value(self) -> float:
        """Two-sided exact McNemar p over groups."""
        return self.counts.p_value

    @property
    def significant(self) -> bool:
        """p ≤ 1 − level, for this one comparison taken alone."""
        return self.p_value <= 1 - self.level


def compare_paired(
    before: Mapping[str, bool | None],
    after: Mapping[str, bool | None],
    *,
    groups: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> PairedComparison:
    """Two models on the same items, paired, for one question that was asked beforehand.

    Rounds and several issues need ``judge_round``, which pays for looking often.
    """
    counts = pair(before, after, groups=groups)
    low, high = delta_interval(
        counts.fixed, counts.broken, counts.n, level=level, design=counts.design
    )
    return PairedComparison(counts, low, high, level)
