"""What became of each issue: verdicts that survive looking often, and looking at the worst.

Four safeguards, each against one way of fooling oneself (docs/statistics.md):

- *Selection*: the fall is measured on items that did not choose the issue.
- *Pairing*: the same items before and after, exact test over groups.
- *Rounds*: another model each round is another hypothesis; round r may spend
  α_r = ⅘·α/(r(r+1)), which sums to ⅘·α; the sealed test spends the last fifth.
- *Many issues*: Holm's step-down within a round, in its form for discrete tests.

So the chance of any false *resolved*, *improved* or *regressed*, in a whole project, is at
most ``config.alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.config.diagnose import DiagnoseConfig
from residency.nouns.issue import Issue
from residency.nouns.verdict import Verdict, VerdictStatus
from residency.stats.paired_outcomes import (
    Paired,
    delta_interval,
    discrete_holm,
    minimum_detectable,
    pair,
    rate_bounds,
    threshold,
)
from residency.stats.sample_reducer import Outcomes

TEST_SHARE = 0.2
"""Share of α kept for the sealed test; the rounds on dev spend the rest."""

CLAIMS: frozenset[VerdictStatus] = frozenset({"resolved", "improved", "regressed"})
"""Statuses whose family-wise error is controlled."""

OPEN: frozenset[VerdictStatus] = frozenset(
    {"improved", "persisting", "inconclusive", "regressed", "new", "newly detected"}
)
"""Statuses after which an issue still asks for work; only *resolved* closes it."""

_PRESENT = 0.95


@dataclass(frozen=True)
class Comparison:
    """An issue's outcomes under two models, by example id (``issues.outcomes``).

    ``before`` belongs to the issue's reference model. For an issue found in ``after``'s own
    responses it belongs to the previous round's model, looked at again with today's detector.
    """

    issue: Issue
    before_model: str
    after_model: str
    before: Outcomes
    after: Outcomes


@dataclass(frozen=True)
class Decision:
    """The decision alone, before it is dressed as a Verdict.

    ``others`` holds the number of changes of each other undecided issue with the same reference
    model; ``apart`` counts the undecided ones with another.
    """

    status: VerdictStatus
    counts: Paired
    adjusted_p: float
    family_alpha: float
    others: tuple[int, ...]
    apart: int

    @property
    def alpha(self) -> float:
        """The p-value up to which the step-down would have claimed a change."""
        return threshold(self.others, self.family_alpha, apart=self.apart)


def round_alpha(alpha: float, round: int) -> float:
    """What round r ≥ 1 may spend on dev: ⅘·α/(r(r+1))."""
    if round < 1:
        raise ValueError(f"rounds that are judged count from 1, not {round}")
    return (1 - TEST_SHARE) * alpha / (round * (round + 1))


def decide(
    comparisons: Sequence[Comparison],
    *,
    half: set[str] | None,
    groups: Mapping[str, str],
    alpha: float,
    found_now: int | None = None,
    min_rate: float = 0.1,
) -> list[Decision]:
    """Statuses of one family of comparisons at family-wise level ``alpha``.

    - *resolved*: the fall is significant and the rate is at or under the tolerance.
    - *improved*: the fall is significant, the rate is still above the tolerance.
    - *regressed*: the rise is significant.
    - *persisting*: no significant change, and the failure is certainly still there: the lower
      end of the rate's exact one-sided 95 % bound lies above the tolerance.
    - *inconclusive*: neither a change nor its absence could be shown with so few items.
    - *new*, *newly detected*: found in this round (``found_now``); nothing is claimed, so they
      cost nothing. *Newly detected* when the earlier model's responses show it as well.
    """
    counts = [pair(c.before, c.after, groups=groups, only=half) for c in comparisons]
    judged = [i for i, c in enumerate(comparisons) if not _is_new(c, found_now)]
    votes = [(counts[i].better, counts[i].worse) for i in judged]
    models = [comparisons[i].before_model for i in judged]
    adjusted = dict(zip(judged, discrete_holm(votes, models), strict=True))
    undecided = [i for i in judged if adjusted[i] > alpha]
    out = []
    for i, comparison in enumerate(comparisons):
        p = adjusted.get(i, 1.0)
        if i not in adjusted:
            status: VerdictStatus = "newly detected" if _was_there(counts[i], min_rate) else "new"
        else:
            status = _status(counts[i], p <= alpha, comparison.issue.tolerance)
        rest = [j for j in undecided if j != i]
        same = [j for j in rest if comparisons[j].before_model == comparison.before_model]
        others = tuple(counts[j].better + counts[j].worse for j in same)
        out.append(Decision(status, counts[i], p, alpha, others, len(rest) - len(same)))
    return out


def judge_round(
    comparisons: Sequence[Comparison],
    *,
    half: set[str],
    groups: Mapping[str, str],
    round: int,
    config: DiagnoseConfig,
    previous: Sequence[Verdict] = (),
) -> list[Verdict]:
    """Verdicts on every issue after round ``round`` ≥ 1, in the order of ``comparisons``.

    Args:
        half: ids of the measuring half. groups: example id → group.
        previous: verdicts of earlier rounds; a note says where a status went back.
    """
    decisions = decide(
        comparisons,
        half=half,
        groups=groups,
        alpha=round_alpha(config.alpha, round),
        found_now=round,
        min_rate=config.min_rate,
    )
    last: dict[str, Verdict] = {}
    for verdict in sorted(previous, key=lambda v: v.round):
        if verdict.round < round and verdict.split == "dev":
            last[verdict.issue] = verdict
    return [
        _verdict(c, d, round=round, split="dev", earlier=last.get(c.issue.id))
        for c, d in zip(comparisons, decisions, strict=True)
    ]


def confirm(
    comparisons: Sequence[Comparison],
    *,
    groups: Mapping[str, str],
    round: int,
    config: DiagnoseConfig,
) -> list[Verdict]:
    """Verdicts on the sealed test, base against final, once, at a fifth of α.

    All test items measure: none of them chose an issue. Overall kinds are judged in the same
    family; give each as an issue whose slice is ``all``.
    """
    decisions = decide(comparisons, half=None, groups=groups, alpha=TEST_SHARE * config.alpha)
    return [
        _verdict(c, d, round=round, split="test", earlier=None)
        for c, d in zip(comparisons, decisions, strict=True)
    ]


def stated_mde(
    issue: Issue,
    before: Outcomes,
    *,
    half: set[str] | None,
    groups: Mapping[str, str],
    issues: int,
    round: int,
    config: DiagnoseConfig,
) -> float:
    """The smallest fall that round ``round`` can show with 80 % power, known before training.

    From the number of items and the reference model's failure rate on the measuring half, at
    the level left to one of ``issues`` issues (Holm does at least as well). ``inf``: even a
    fall to zero would be missed too often.
    """
    counts = pair(before, before, groups=groups, only=half)
    return _mde(counts, round_alpha(config.alpha, round) / max(1, issues))


def _is_new(comparison: Comparison, found_now: int | None) -> bool:
    issue = comparison.issue
    return (
        found_now is not None
        and issue.found_round == found_now
        and (issue.reference_model == comparison.after_model)
    )


def _was_there(counts: Paired, min_rate: float) -> bool:
    return counts.failing_before > 0 and (
        counts.before_rate >= min_rate or 2 * counts.failing_before >= counts.failing_after
    )


def _status(counts: Paired, significant: bool, tolerance: float) -> VerdictStatus:
    if significant and counts.better > counts.worse:
        return "resolved" if counts.after_rate <= tolerance else "improved"
    if significant:
        return "regressed"
    # Bounds from groups, not items: paraphrases of one request are one observation.
    low, _ = rate_bounds(counts.after_rate * counts.groups, counts.groups, level=2 * _PRESENT - 1)
    return "persisting" if low > tolerance else "inconclusive"


def _mde(counts: Paired, alpha: float) -> float:
    return minimum_detectable(counts.groups, alpha, counts.before_rate)


def _verdict(
    comparison: Comparison,
    decision: Decision,
    *,
    round: int,
    split: str,
    earlier: Verdict | None,
) -> Verdict:
    counts = decision.counts
    low, high = delta_interval(counts.fixed, counts.broken, counts.n, design=counts.design)
    mde = _mde(counts, decision.alpha)
    return Verdict(
        issue=comparison.issue.id,
        before=comparison.before_model,
        after=comparison.after_model,
        round=round,
        split=split,
        status=decision.status,
        n=counts.n,
        unscored=counts.unscored,
        before_rate=counts.before_rate,
        after_rate=counts.after_rate,
        fixed=counts.fixed,
        broken=counts.broken,
        delta=counts.delta,
        low=low,
        high=high,
        p_value=counts.p_value,
        e_value=counts.e_value,
        alpha=decision.alpha,
        mde=mde,
        note=_note(comparison, decision, mde, earlier),
    )


def _note(comparison: Comparison, decision: Decision, mde: float, earlier: Verdict | None) -> str:
    counts, notes = decision.counts, []
    if decision.status == "resolved":
        _, high = rate_bounds(counts.after_rate * counts.groups, counts.groups)
        notes.append(f"{counts.after_rate:.0%} fail now, at most {high:.0%} with 95 % confidence")
    if decision.status == "inconclusive":
        if counts.n == 0:
            notes.append("no item was scored in both")
        elif math.isinf(mde):
            notes.append(f"{counts.groups} items cannot show even a fall to zero; add dev items")
        else:
            notes.append(f"{counts.groups} items show a fall of {mde:.0%} or more")
    if decision.status in ("inconclusive", "persisting") and counts.p_value <= 0.05:
        notes.append(
            f"p = {counts.p_value:.2g} alone; not enough after allowing for all issues and rounds"
        )
    if earlier is not None and earlier.status == "resolved" and decision.status != "resolved":
        notes.append(f"was resolved in round {earlier.round}")
    if comparison.issue.found_round and decision.status == "newly detected":
        notes.append(f"the earlier model fails {counts.before_rate:.0%} too")
    return "; ".join(notes)
