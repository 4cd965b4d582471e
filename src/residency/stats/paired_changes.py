"""Several questions of one kind: did a failure rate rise between two models on the same items?

For gates, and for logs of other programs. Values are *failures*: 0 where all is well, 1 where the
item fails, between them a share; larger is worse. None is unscored. Each question is tested exactly
over groups, and the questions are one family: the chance that any *worse* or *better* is said of
models that are alike is at most ``alpha`` (step-down for discrete tests, ``adjust_by_discrete_holm``).
*Within the margin* is said where the 95 % interval ends below the margin, which is wrong in at
most 2.5 % of such sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from residency.stats import special
from residency.stats.delta_interval import (
    FEWEST_GROUPS,
    interval_of_differences,
    score_interval,
)
from residency.stats.exact_tests import NO_CHANGE, SignFlipTest, sign_flip_test
from residency.stats.multiplicity import adjust_by_discrete_holm

Values = Mapping[str, float | None]
"""Item → failure; None where it is unscored."""

ChangeStatus = Literal["worse", "better", "within margin", "unclear", "too little scored"]


@dataclass(frozen=True)
class PairedQuestion:
    """One measure under two models.

    Attributes:
        groups: item → group; an item without an entry is a group.
        bounded: whether values lie in [0, 1], so that a margin in points means something.
    """

    name: str
    before: Values
    after: Values
    groups: Mapping[str, str] = field(default_factory=dict)
    bounded: bool = True


@dataclass(frozen=True)
class PairedChange:
    """What became of one measure.

    Attributes:
        n: items scored in both, in ``groups`` groups. lost: scored before only; gained: after only;
            missing: scored before and absent after.
        before, after: mean failure over groups. rise: after minus before; low, high: its 95 % interval.
        p_value: exact, two-sided, of this question alone; adjusted_p: with the whole family counted.
        coverage: n of the items that were scored before.
        bounded: whether the figures are shares.
    """

    name: str
    n: int
    groups: int
    lost: int
    gained: int
    missing: int
    before: float
    after: float
    rise: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    status: ChangeStatus
    bounded: bool = True

    @property
    def coverage(self) -> float:
        """Share of the items scored before that are scored in both (0 where none was)."""
        scored_before = self.n + self.lost + self.missing
        return self.n / scored_before if scored_before else 0.0


@dataclass(frozen=True)
class _Pairs:
    """The items of one question, counted."""

    n: int
    lost: int
    gained: int
    missing: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    sizes: tuple[int, ...]

    @property
    def rises(self) -> tuple[float, ...]:
        return tuple(now - was for was, now in zip(self.before, self.after, strict=True))


def compare_changes(
    questions: Sequence[PairedQuestion],
    *,
    alpha: float = 0.05,
    margin: float = 0.05,
    coverage: float = 0.9,
) -> list[PairedChange]:
    """Every question on the items scored in both, all questions counted as one family.

    Args:
        alpha: chance of any false *worse* or *better* in the family. margin: the rise that is
            accepted, in the unit of the values. coverage: below this share of the items scored
            before, or below six groups, *too little scored* is said and nothing else.
    """
    pairs = [_pair_values(question) for question in questions]
    tests: list[SignFlipTest] = [
        sign_flip_test([-rise for rise in pair.rises]) if pair.n else NO_CHANGE for pair in pairs
    ]
    adjusted = adjust_by_discrete_holm(tests) if tests else []
    out = []
    for question, pair, test, adjusted_p in zip(questions, pairs, tests, adjusted, strict=True):
        rise = float(np.mean(pair.rises)) if pair.n else 0.0
        low, high = _find_interval(pair, question.bounded)
        change = PairedChange(
            name=question.name,
            n=pair.n,
            groups=len(pair.sizes),
            lost=pair.lost,
            gained=pair.gained,
            missing=pair.missing,
            before=float(np.mean(pair.before)) if pair.n else 0.0,
            after=float(np.mean(pair.after)) if pair.n else 0.0,
            rise=rise,
            low=low,
            high=high,
            p_value=test.p_value,
            adjusted_p=adjusted_p,
            status="unclear",
            bounded=question.bounded,
        )
        out.append(_with_status(change, alpha, margin, coverage))
    return out


def _with_status(
    change: PairedChange, alpha: float, margin: float, coverage: float
) -> PairedChange:
    status: ChangeStatus = "unclear"
    if change.groups < FEWEST_GROUPS or change.coverage < coverage:
        status = "too little scored"
    elif change.adjusted_p <= alpha:
        status = "worse" if change.rise > 0 else "better"
    elif change.bounded and change.high <= margin:
        status = "within margin"
    return replace(change, status=status)


def _pair_values(question: PairedQuestion) -> _Pairs:
    rows: dict[str, list[tuple[float, float]]] = {}
    lost = gained = missing = 0
    for item, was in question.before.items():
        if item not in question.after:
            missing += was is not None
            continue
        now = question.after[item]
        if was is None or now is None:
            lost += was is not None
            gained += now is not None
            continue
        rows.setdefault(question.groups.get(item) or item, []).append((was, now))
    return _Pairs(
        n=sum(len(pairs) for pairs in rows.values()),
        lost=lost,
        gained=gained,
        missing=missing,
        before=tuple(sum(was for was, _ in pairs) / len(pairs) for pairs in rows.values()),
        after=tuple(sum(now for _, now in pairs) / len(pairs) for pairs in rows.values()),
        sizes=tuple(len(pairs) for pairs in rows.values()),
    )


def _find_interval(pair: _Pairs, bounded: bool) -> tuple[float, float]:
    """95 % interval of the rise: for yes/no items the score interval, which keeps its promise at a
    margin; for shares over groups the one that allows for what varies between groups."""
    rises = pair.rises
    if not bounded:
        return _student_interval(rises)
    if len(rises) < FEWEST_GROUPS:
        return -1.0, 1.0
    if max(pair.sizes) == 1 and all(rise in (-1.0, 0.0, 1.0) for rise in rises):
        worse, better = sum(r > 0 for r in rises), sum(r < 0 for r in rises)
        return score_interval(worse, better, len(rises))
    low, high = interval_of_differences([-rise for rise in rises], pair.sizes)
    return -high, -low


def _student_interval(rises: Sequence[float]) -> tuple[float, float]:
    if len(rises) < FEWEST_GROUPS:
        return -np.inf, np.inf
    values = np.asarray(rises, np.float64)
    half = (
        float(special.stdtrit(len(rises) - 1, 0.975))
        * float(values.std(ddof=1))
        / len(rises) ** 0.5
    )
    return float(values.mean()) - half, float(values.mean()) + half
