"""Two models on the same items: who failed before and after, counted in groups.

Items of one group (paraphrases of one request) are not independent, so one unit is used
throughout: the *group*. A group's failure is the mean of its scored items, its difference how far
that mean fell. The rates, Δ, its interval, the test and the tolerance all speak of the mean over
groups; where every group is one item that is the share of items.

An answer that is there before and missing after (or the reverse) is *lost* (or *gained*). What the
observed items show must also hold where every such item went against it (worst-case bounds, after
Manski 1990): missing answers cannot make a model better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from residency.stats.delta_interval import interval_of_differences
from residency.stats.exact_tests import SignFlipTest, sign_e_value, sign_flip_test

_Integers = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Paired:
    """One paired comparison.

    Attributes:
        n: items scored in both; unscored: items that were not, of which ``lost`` were scored
            before only and ``gained`` after only.
        fixed_ids, broken_ids: which items changed, sorted.
        before, after: mean failure of each group, over its items scored in both.
        sizes: how many such items each group has.
        worst: differences by group where every lost item is counted as failing after and every
            gained one as passing before. best: the reverse. bound_sizes: their items.
        now: mean failure after of each group, over its items scored after, those included that were
            not scored before.
    """

    n: int
    unscored: int
    lost: int
    gained: int
    fixed_ids: tuple[str, ...]
    broken_ids: tuple[str, ...]
    before: tuple[float, ...] = field(repr=False)
    after: tuple[float, ...] = field(repr=False)
    sizes: tuple[int, ...] = field(repr=False)
    worst: tuple[float, ...] = field(repr=False)
    best: tuple[float, ...] = field(repr=False)
    bound_sizes: tuple[int, ...] = field(repr=False)
    now: tuple[float, ...] = field(repr=False)

    @property
    def fixed(self) -> int:
        """Items that failed before and pass after."""
        return len(self.fixed_ids)

    @property
    def broken(self) -> int:
        """Items that passed before and fail after."""
        return len(self.broken_ids)

    @property
    def groups(self) -> int:
        """Groups scored in both."""
        return len(self.before)

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """How far each group's mean failure fell."""
        return tuple(was - now for was, now in zip(self.before, self.after, strict=True))

    @property
    def better(self) -> int:
        """Groups whose failures fell."""
        return sum(d > 0 for d in self.differences)

    @property
    def worse(self) -> int:
        """Groups whose failures rose."""
        return sum(d < 0 for d in self.differences)

    @property
    def before_rate(self) -> float:
        """Failure rate before: mean over groups (0 without items)."""
        return float(np.mean(self.before)) if self.before else 0.0

    @property
    def after_rate(self) -> float:
        """Failure rate after: mean over groups (0 without items)."""
        return float(np.mean(self.after)) if self.after else 0.0

    @property
    def delta(self) -> float:
        """How far the failure rate fell: mean over groups of the difference."""
        return float(np.mean(self.differences)) if self.differences else 0.0

    @cached_property
    def test(self) -> SignFlipTest:
        """Exact sign-flip test over groups."""
        return sign_flip_test(self.differences)

    @property
    def p_value(self) -> float:
        """Two-sided exact p over groups."""
        return self.test.p_value

    @cached_property
    def bounded_p(self) -> float:
        """p where missing answers went against the observed change; 1 where it would turn over."""
        if not self.lost + self.gained or not self.delta:
            return self.p_value
        fell = self.delta > 0
        bound = self.worst if fell else self.best
        if (sum(bound) > 0) != fell or not sum(bound):
            return 1.0
        return max(self.p_value, sign_flip_test(bound).p_value)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval of Δ, over what missing answers could do to it (``interval_of_differences``).

        Where answers are missing on one side it reaches from the lower end with all of them against
        the later model to the upper end with all of them for it.
        """
        low, high = interval_of_differences(self.differences, self.sizes, level=level)
        if self.lost + self.gained:
            low = min(low, interval_of_differences(self.worst, self.bound_sizes, level=level)[0])
            high = max(high, interval_of_differences(self.best, self.bound_sizes, level=level)[1])
        return low, high

    @property
    def now_rate(self) -> float:
        """Failure rate of the later model alone, on all that is scored of it: mean over groups."""
        return float(np.mean(self.now)) if self.now else 0.0

    @property
    def worst_now(self) -> tuple[float, int]:
        """Failing groups of the later model and how many groups there are, every lost item counted as
        a separate failing group."""
        return sum(self.now) + self.lost, len(self.now) + self.lost

    @property
    def e_value(self) -> float:
        """Anytime-valid evidence that outcomes changed, over groups."""
        return sign_e_value(self.better, self.worse)


def pair_outcomes(
    before: Mapping[str, bool | None],
    after: Mapping[str, bool | None],
    *,
    groups: Mapping[str, str] | None = None,
    only: set[str] | None = None,
) -> Paired:
    """Two models' outcomes (True = failed, None = unscored) on the items of both.

    Args:
        groups: item → group; an item without an entry is a group.
        only: the items to use (the measuring half); None means all.
    """
    groups = groups or {}
    numbers: dict[str, int] = {}
    item_groups: list[int] = []
    then: list[int] = []
    later: list[int] = []
    fixed: list[str] = []
    broken: list[str] = []
    silent = 0
    for key, was in before.items():
        if key not in after or (only is not None and key not in only):
            continue
        is_now = after[key]
        if was is None and is_now is None:
            silent += 1
            continue
        item_groups.append(numbers.setdefault(groups.get(key) or key, len(numbers)))
        then.append(_MISSING if was is None else int(was))
        later.append(_MISSING if is_now is None else int(is_now))
        if was is not None and is_now is not None and was != is_now:
            (fixed if was else broken).append(key)
    group_numbers, was_failed, now_failed = (
        np.asarray(part, np.intp) for part in (item_groups, then, later)
    )
    was_there, is_there = was_failed != _MISSING, now_failed != _MISSING
    lost, gained = int((~is_there).sum()), int((~was_there).sum())
    both = was_there & is_there
    sizes, earlier, after_all = _average(group_numbers[both], was_failed[both], now_failed[both])
    worst = best = tuple((earlier - after_all).tolist())
    every = sizes
    if lost + gained:
        # A lost answer fails (or passes) after, a gained one passed (or failed) before.
        worst_fall = np.maximum(was_failed, 0) - np.abs(now_failed)
        best_fall = np.abs(was_failed) - np.maximum(now_failed, 0)
        every, lowest, highest = _average(group_numbers, worst_fall, best_fall)
        worst, best = tuple(lowest.tolist()), tuple(highest.tolist())
    return Paired(
        n=int(both.sum()),
        unscored=silent + lost + gained,
        lost=lost,
        gained=gained,
        fixed_ids=tuple(sorted(fixed)),
        broken_ids=tuple(sorted(broken)),
        before=tuple(earlier.tolist()),
        after=tuple(after_all.tolist()),
        sizes=tuple(sizes.tolist()),
        worst=worst,
        best=best,
        bound_sizes=tuple(every.tolist()),
        now=_average_side(group_numbers[is_there], now_failed[is_there]),
    )


_MISSING = -1
"""An outcome that is not there; its absolute value is that of a failure."""


def _average(group_numbers: _Integers, first: _Integers, second: _Integers) -> tuple[Any, Any, Any]:
    """Items of each group that has any, and the means of two figures over them, in the groups' order."""
    sizes = np.bincount(group_numbers)
    there = sizes > 0
    means = [np.bincount(group_numbers, side)[there] / sizes[there] for side in (first, second)]
    return sizes[there], means[0], means[1]


def _average_side(group_numbers: _Integers, side: _Integers) -> tuple[float, ...]:
    return tuple(_average(group_numbers, side, side)[1].tolist())


@dataclass(frozen=True)
class PairedComparison:
    """``compare_paired``'s answer: the counts, Δ with its interval, p and e."""

    counts: Paired
    low: float
    high: float
    level: float

    @property
    def p_value(self) -> float:
        """Two-sided exact p over groups."""
        return self.counts.p_value

    @property
    def significant(self) -> bool:
        """p ≤ 1 − level, for this one comparison taken alone, missing answers counted against it."""
        return self.counts.bounded_p <= 1 - self.level


def compare_paired(
    before: Mapping[str, bool | None],
    after: Mapping[str, bool | None],
    *,
    groups: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> PairedComparison:
    """Two models on the same items, paired, for one question that was fixed beforehand.

    Rounds and several issues need ``judge_round``, which pays for looking often.
    """
    counts = pair_outcomes(before, after, groups=groups)
    low, high = counts.interval(level)
    return PairedComparison(counts, low, high, level)
