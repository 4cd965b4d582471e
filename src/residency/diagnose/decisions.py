"""What may be claimed about each issue of one family of comparisons, at one level of error.

A claim speaks of the two models that were compared, on the kind of items that dev holds. Whether
the *data* made the difference, and not the luck of one training, is another question
(``compare_arms``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.nouns.issue import Issue
from residency.nouns.verdict import VerdictStatus
from residency.stats.exact_tests import SignFlipTest, binomial_tail_p
from residency.stats.intervals import clopper_pearson
from residency.stats.multiplicity import Answered, Question, adjust_family, find_threshold
from residency.stats.paired_outcomes import Paired, pair_outcomes
from residency.stats.sample_reducer import Outcomes

CLAIMS: frozenset[VerdictStatus] = frozenset({"resolved", "improved", "regressed"})
"""Statuses whose family-wise error is controlled."""

OPEN: frozenset[VerdictStatus] = frozenset(
    {
        "improved",
        "persisting",
        "inconclusive",
        "missing answers",
        "regressed",
        "new",
        "newly detected",
    }
)
"""Statuses after which an issue still asks for work; only *resolved* closes it."""

_PRESENT = 0.95
_UNLIKELY = 0.2
"""Chance of so many failures in the finding part, were the rate at the tolerance, below which the rate
counts as above it."""
_NOTABLE_LOSS = 0.1


@dataclass(frozen=True)
class Comparison:
    """An issue's outcomes under two models, by example id.

    ``before`` belongs to the issue's reference model. For an issue found in ``after``'s
    responses, it belongs to the previous round's model, looked at again with today's detector.
    """

    issue: Issue
    before_model: str
    after_model: str
    before: Outcomes
    after: Outcomes


@dataclass(frozen=True)
class Decision:
    """The decision alone, before it is dressed as a Verdict.

    ``others`` holds the tests of each other undecided issue with the same reference model;
    ``apart`` counts the hypotheses that are charged in full (another reference model, tolerances).
    """

    status: VerdictStatus
    counts: Paired
    adjusted: Answered
    family_alpha: float
    others: tuple[SignFlipTest, ...] = ()
    apart: int = 0

    @property
    def alpha(self) -> float:
        """The p-value up to which the step-down would have claimed a change."""
        return find_threshold(self.others, self.family_alpha, apart=self.apart)


def decide_statuses(
    comparisons: Sequence[Comparison],
    *,
    half: set[str] | None,
    groups: Mapping[str, str],
    alpha: float,
    found_now: int | None = None,
    min_rate: float = 0.1,
) -> list[Decision]:
    """Statuses of one family of comparisons at family-wise level ``alpha``.

    - *resolved*: the rate fell, and it is shown to be under the tolerance (two claims).
    - *improved*: the rate fell; that it is under the tolerance is not shown.
    - *regressed*: the rate rose.
    - *persisting*: no change is shown, and the failure is certainly still there: the lower end
      of the rate's exact one-sided 95 % bound lies above the tolerance.
    - *missing answers*: what the scored items show does not hold if the answers that are missing
      on one side went against it, or a tenth of the answers and more is missing on one side.
    - *inconclusive*: neither a change nor its absence could be shown with so few items.
    - *new*, *newly detected*: of this round (``found_now``); nothing is claimed, so they
      cost nothing. *Newly detected* when the earlier model's responses show it as well.

    The first three hold also at worst-case bounds for missing answers.
    """
    counts = [pair_outcomes(c.before, c.after, groups=groups, only=half) for c in comparisons]
    judged = [i for i, c in enumerate(comparisons) if not _is_new(c, found_now)]
    questions = [
        _ask_question(
            comparisons[i],
            counts[i],
            may_be_resolved=not _is_out_of_reach(comparisons[i], half, groups),
        )
        for i in judged
    ]
    answers = dict(zip(judged, adjust_family(questions), strict=True))
    undecided = [i for i in judged if answers[i].change > alpha]
    open_tolerances = {
        i
        for i, question in zip(judged, questions, strict=True)
        if answers[i].change <= alpha < answers[i].tolerance and question.p_tolerance < 1
    }
    decisions = []
    for i, comparison in enumerate(comparisons):
        answer = answers.get(i, Answered(1.0, 1.0))
        if i not in answers:
            new: VerdictStatus = "newly detected" if _was_there(counts[i], min_rate) else "new"
            decisions.append(Decision(new, counts[i], answer, alpha))
            continue
        rest = [j for j in undecided if j != i]
        same = [j for j in rest if comparisons[j].before_model == comparison.before_model]
        decision = Decision(
            status="inconclusive",
            counts=counts[i],
            adjusted=answer,
            family_alpha=alpha,
            others=tuple(counts[j].test for j in same),
            apart=len(rest) - len(same) + len(open_tolerances - {i}),
        )
        status = _choose_status(decision, comparison.issue.tolerance)
        decisions.append(
            Decision(status, counts[i], answer, alpha, decision.others, decision.apart)
        )
    return decisions


def _ask_question(comparison: Comparison, counts: Paired, *, may_be_resolved: bool) -> Question:
    tolerance = comparison.issue.tolerance
    return Question(
        change=counts.test,
        p_change=counts.bounded_p,
        fell=counts.delta > 0,
        p_tolerance=tolerance_p(counts, tolerance) if may_be_resolved else 1.0,
        family=comparison.before_model,
    )


def tolerance_p(counts: Paired, tolerance: float) -> float:
    """p of “the rate after is at or above the tolerance”; every lost answer is a failure.

    1 where even no failure at all could not show it at 5 %.
    """
    failing, groups = counts.worst_now
    if binomial_tail_p(0, groups, tolerance) > 0.05:
        return 1.0
    return binomial_tail_p(failing, groups, tolerance)


def _is_out_of_reach(
    comparison: Comparison, half: set[str] | None, groups: Mapping[str, str]
) -> bool:
    """Whether the finding part alone says that the rate is above the tolerance.

    Then the question whether it is under it is not asked, so that it uses no part of α: the finding part
    is not looked at when the question is answered, so it may decide whether it is worth asking.
    """
    if half is None:
        return False
    finding = set(comparison.after) - half
    counts = pair_outcomes(comparison.after, comparison.after, groups=groups, only=finding)
    failing, tried = counts.worst_now
    if not failing:
        return False
    fewer = binomial_tail_p(math.ceil(failing) - 1, tried, comparison.issue.tolerance)
    return 1 - fewer < _UNLIKELY


def _is_new(comparison: Comparison, found_now: int | None) -> bool:
    issue = comparison.issue
    return (
        found_now is not None
        and issue.found_round == found_now
        and issue.reference_model == comparison.after_model
    )


def _was_there(counts: Paired, min_rate: float) -> bool:
    return counts.before_rate > 0 and (
        counts.before_rate >= min_rate or 2 * counts.before_rate >= counts.after_rate
    )


def _choose_status(decision: Decision, tolerance: float) -> VerdictStatus:
    counts, alpha = decision.counts, decision.family_alpha
    if decision.adjusted.change <= alpha:
        if counts.delta < 0:
            return "regressed"
        return "resolved" if decision.adjusted.tolerance <= alpha else "improved"
    if counts.lost + counts.gained and counts.p_value <= decision.alpha:
        return "missing answers"
    # Bounds from groups, not items: paraphrases of one request are one observation.
    low, _ = clopper_pearson(
        counts.after_rate * counts.groups, counts.groups, level=2 * _PRESENT - 1
    )
    if low > tolerance:
        return "persisting"
    if max(counts.lost, counts.gained) > max(1, _NOTABLE_LOSS * (counts.n + counts.lost)):
        return "missing answers"
    return "inconclusive"
