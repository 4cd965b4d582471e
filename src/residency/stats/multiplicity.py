"""Many questions at once: step-down procedures for tests whose p-values are discrete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from residency.stats.exact_tests import SignFlipTest


@dataclass(frozen=True)
class Question:
    """One issue in a family: did its rate change, and if it fell, is it under the tolerance?

    Attributes:
        change: test of the change. p_change: its p, at least ``change.p_value`` (larger where
            missing answers could explain the change).
        fell: the change is for the better.
        p_tolerance: p of “the rate is at or above the tolerance”; 1: no such question.
        family: reference model.
    """

    change: SignFlipTest
    p_change: float
    fell: bool = True
    p_tolerance: float = 1.0
    family: str = ""


@dataclass(frozen=True)
class Answered:
    """Adjusted p-values of one question: claim where they are ≤ α."""

    change: float
    tolerance: float


def adjust_family(questions: Sequence[Question]) -> list[Answered]:
    """Step-down over a family of issues: any false claim at most α.

    Every issue has at most one false hypothesis to be wrong about at a time: either its rate did
    not fall, or it fell and is still above the tolerance. So the second question replaces
    the first when that is decided, and costs nothing before (the partitioning principle; Finner
    and Strassburger 2002). At each step the smallest p is taken; its adjusted p is the sum of what
    every open hypothesis risks at that threshold.

    With N changes p takes few values and cannot fall below 2^(1−N): such an issue risks only its
    largest attainable p ≤ t, F(t) (Westfall and Wolfinger 1997; Tarone 1990). F is conditional on
    the magnitudes of the changes. That is exact for issues that compare the same two models, whose
    outcomes could be swapped if nothing changed, jointly for those issues. Issues of another
    reference model, and questions of tolerance, are charged the full p instead, as Holm does.
    """
    changes = [1.0] * len(questions)
    tolerances = [1.0] * len(questions)
    open_changes = set(range(len(questions)))
    open_tolerances: set[int] = set()
    running = 0.0
    while open_changes or open_tolerances:
        candidates = [(questions[i].p_change, 0, i) for i in open_changes]
        candidates += [(questions[i].p_tolerance, 1, i) for i in open_tolerances]
        p, kind, index = min(candidates)
        family = questions[index].family
        risk = 0.0
        for j in open_changes:
            same = kind == 0 and questions[j].family == family
            risk += questions[j].change.largest_attainable(p) if same else p
        if kind == 0 and questions[index].change.largest_attainable(p) < p:
            # A p raised by missing answers lies between attainable values.
            risk += p - questions[index].change.largest_attainable(p)
        risk += sum(p for j in open_tolerances if questions[j].p_tolerance < 1)
        running = max(running, min(1.0, risk))
        if kind == 0:
            changes[index] = running
            open_changes.remove(index)
            if questions[index].fell and questions[index].p_tolerance < 1:
                open_tolerances.add(index)
        else:
            tolerances[index] = running
            open_tolerances.remove(index)
    return [Answered(c, t) for c, t in zip(changes, tolerances, strict=True)]


def adjust_by_discrete_holm(
    tests: Sequence[SignFlipTest], families: Sequence[str] | None = None
) -> list[float]:
    """Adjusted p-values of plain questions of change (no tolerance); see ``adjust_family``."""
    names = list(families) if families is not None else [""] * len(tests)
    questions = [
        Question(test, test.p_value, fell=False, family=name)
        for test, name in zip(tests, names, strict=True)
    ]
    return [answer.change for answer in adjust_family(questions)]


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values by Holm's step-down, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def find_threshold(others: Sequence[SignFlipTest], alpha: float, *, apart: int = 0) -> float:
    """The p-value up to which one more issue may be claimed beside undecided others.

    The largest t with t + Σ F_j(t) + apart·t ≤ alpha; at least alpha / (number of issues).

    Args:
        others: tests of the other issues of the same pair of models.
        apart: number of other hypotheses that are charged in full.
    """
    low, high = alpha / (1 + len(others) + apart), alpha / (1 + apart)

    def risk(t: float) -> float:
        return (1 + apart) * t + sum(test.largest_attainable(t) for test in others)

    if risk(high) <= alpha:
        return high
    for _ in range(20):
        middle = (low + high) / 2
        if risk(middle) <= alpha:
            low = middle
        else:
            high = middle
    return low
