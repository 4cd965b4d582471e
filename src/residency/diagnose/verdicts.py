"""What became of each issue: verdicts that survive looking often, and looking at the worst.

Safeguards, each against one way of fooling oneself (docs/statistics.md):

- *Selection*: the fall is measured on items that did not choose the issue.
- *Pairing*: the same items before and after, exact test over groups.
- *Missing answers*: a claim must hold if every answer missing on one side went against it.
- *Rounds*: another model each round is another hypothesis; the rounds share ⅘ of α, the sealed
  test has the last fifth (``error_budget``).
- *Many issues*: a step-down within a round, in its form for discrete tests (``decisions``).

So the chance of any false *resolved*, *improved* or *regressed*, in a whole project, is at
most ``config.alpha``. Each speaks of the two models that were compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.decisions import Comparison, Decision, decide_statuses
from residency.diagnose.error_budget import round_alpha
from residency.nouns.issue import Issue
from residency.nouns.verdict import Verdict
from residency.stats.intervals import clopper_pearson
from residency.stats.paired_outcomes import Paired, pair_outcomes
from residency.stats.power import minimum_detectable
from residency.stats.sample_reducer import Outcomes
from residency.text.counts import write_count
from residency.text.percent import write_percent


def judge_round(
    comparisons: Sequence[Comparison],
    *,
    half: set[str],
    groups: Mapping[str, str],
    round: int,
    config: DiagnoseConfig,
    rounds: int = 0,
    previous: Sequence[Verdict] = (),
) -> list[Verdict]:
    """Verdicts on every issue after round ``round`` ≥ 1, in the order of ``comparisons``.

    Args:
        half: ids of the measuring half. groups: example id → group.
        rounds: the most rounds that there will be; 0: not known.
        previous: verdicts of earlier rounds; a note says where a status went back.
    """
    decisions = decide_statuses(
        comparisons,
        half=half,
        groups=groups,
        alpha=round_alpha(config.alpha, round, rounds),
        found_now=round,
        min_rate=config.min_rate,
    )
    last: dict[str, Verdict] = {}
    for verdict in sorted(previous, key=lambda v: v.round):
        if verdict.round < round and verdict.split == "dev":
            last[verdict.issue] = verdict
    return [
        _make_verdict(c, d, round=round, split="dev", earlier=last.get(c.issue.id))
        for c, d in zip(comparisons, decisions, strict=True)
    ]


def confirm_on_test(
    comparisons: Sequence[Comparison],
    *,
    groups: Mapping[str, str],
    round: int,
    alpha: float,
) -> list[Verdict]:
    """Verdicts on the sealed test, base against final, once, at level ``alpha``: a fifth of the
    run's.

    All test items measure: none of them chose an issue. Overall kinds are judged in the same
    family; give each as an issue whose slice is ``all``.
    """
    decisions = decide_statuses(comparisons, half=None, groups=groups, alpha=alpha)
    return [
        _make_verdict(c, d, round=round, split="test", earlier=None)
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
    rounds: int = 0,
) -> float:
    """The smallest fall that round ``round`` can show with 80 % power, known before training.

    From the groups and the reference model's failures on the measuring half, at the level left
    to one of ``issues`` issues (the step-down does at least as well). ``inf``: even a fall to zero
    would be missed too often.
    """
    counts = pair_outcomes(before, before, groups=groups, only=half)
    return _find_mde(counts, round_alpha(config.alpha, round, rounds) / max(1, issues))


def _find_mde(counts: Paired, alpha: float) -> float:
    return minimum_detectable(counts.before, counts.sizes, alpha)


def _make_verdict(
    comparison: Comparison,
    decision: Decision,
    *,
    round: int,
    split: str,
    earlier: Verdict | None,
) -> Verdict:
    counts = decision.counts
    low, high = counts.interval()
    mde = _find_mde(counts, decision.alpha)
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
        note=_write_note(comparison, decision, mde, earlier),
        lost=counts.lost,
        gained=counts.gained,
        groups=counts.groups,
    )


def _write_note(
    comparison: Comparison, decision: Decision, mde: float, earlier: Verdict | None
) -> str:
    counts, notes = decision.counts, []
    if decision.status in ("resolved", "improved"):
        notes.append(_describe_rate(counts, comparison.issue.tolerance, decision.status))
    if decision.status == "inconclusive":
        if counts.n == 0:
            notes.append("no item was scored in both")
        elif math.isinf(mde):
            notes.append(
                f"{write_count(counts.groups, 'item')} cannot show even a fall to zero; add dev items"
            )
        else:
            notes.append(
                f"{write_count(counts.groups, 'item shows', 'items show')} a fall of {write_percent(mde, 0)} or more"
            )
    if decision.status in ("inconclusive", "persisting") and counts.bounded_p <= 0.05:
        notes.append(
            f"p = {counts.bounded_p:.2g} alone; not enough after allowing for all issues and rounds"
        )
    if counts.lost or counts.gained:
        notes.append(_describe_missing(counts, decision))
    if earlier is not None and earlier.status == "resolved" and decision.status != "resolved":
        notes.append(f"was resolved in round {earlier.round}")
    if comparison.issue.found_round and decision.status == "newly detected":
        notes.append(f"the earlier model fails {write_percent(counts.before_rate, 0)} too")
    return "; ".join(notes)


def _describe_rate(counts: Paired, tolerance: float, status: str) -> str:
    """The rate after with its upper bound, and what it would take to be under the tolerance."""
    failing, groups = counts.worst_now
    _, high = clopper_pearson(failing, groups, level=0.9)
    sentence = f"{write_percent(counts.now_rate, 0)} fail now, at most {write_percent(high, 0)} with 95 % confidence"
    if status == "improved" and counts.now_rate <= tolerance:
        sentence += f"; that it is under {write_percent(tolerance, 0)} is not shown by {write_count(groups, 'item')}"
    return sentence


def _describe_missing(counts: Paired, decision: Decision) -> str:
    parts = []
    if counts.lost:
        parts.append(
            f"{write_count(counts.lost, 'answer is', 'answers are')} unscored now that were scored before"
        )
    if counts.gained:
        parts.append(f"{counts.gained} are scored now that were not")
    if decision.status == "missing answers":
        parts.append("the change could be theirs")
    return ", ".join(parts)
