"""Judge: a verdict for every known issue, what is still open, and what the arms say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.diagnose.compare_arms import compare_arms as compare_arms_diagnose
from residency.diagnose.decisions import OPEN, Comparison
from residency.diagnose.verdicts import judge_round
from residency.loop.alpha_ledger import settings_at_share
from residency.loop.assess import Assessment
from residency.loop.item_outcomes import (
    KnownIssue,
    compare_outcomes,
    find_issue_outcomes,
    map_groups,
)
from residency.loop.stages import run_stage_once
from residency.nouns.issue import Issue
from residency.nouns.verdict import Verdict
from residency.project.step_needs import HasRun, HasSettings
from residency.store.stage_key import StageKey, StageName


def judge_issues(
    ws: HasSettings,
    known: Mapping[str, KnownIssue],
    fresh: Sequence[str],
    previous: Assessment,
    current: Assessment,
    half: set[str],
    number: int,
    earlier: Sequence[Verdict],
) -> list[Verdict]:
    """A verdict for every known issue: its reference model against the current one.

    A new issue has no reference yet; it is looked for in the previous answers,
    which tells *new* from *newly detected*.
    """
    comparisons = []
    for issue, found_in in known.values():
        then = previous if issue.id in fresh else found_in
        comparisons.append(
            Comparison(
                issue=issue,
                before_model=then.model.id,
                after_model=current.model.id,
                before=find_issue_outcomes(issue, then),
                after=find_issue_outcomes(issue, current),
            )
        )
    verdicts = judge_round(
        comparisons,
        half=half,
        groups=map_groups(current.examples),
        round=number,
        config=settings_at_share(ws),
        rounds=ws.config.rounds.max,
        previous=earlier,
    )
    ws.store.add_verdicts(ws.run_id, verdicts)
    return verdicts


def is_open(issue: Issue, verdicts: Sequence[Verdict]) -> bool:
    """Whether the issue still asks for data, by its latest verdict."""
    latest = [v.status for v in verdicts if v.issue == issue.id]
    return not latest or latest[-1] in OPEN


_NEED = ("regressed", "persisting", "new", "newly detected", "inconclusive", "improved")


def sort_by_need(issues: Sequence[Issue], verdicts: Sequence[Verdict]) -> list[Issue]:
    """Which issue is given rows first, while there are any.

    What does not move comes before what falls already. Among equals a slice comes before the
    whole task, since rows of the slice teach what is missing and rows like any failure do not;
    then the order in which they came up.
    """
    latest = {v.issue: v.status for v in verdicts}

    def need(issue: Issue) -> tuple[int, bool]:
        status = latest.get(issue.id, "new")
        return _NEED.index(status) if status in _NEED else len(_NEED), issue.slice.by == "all"

    return sorted(issues, key=need)


def compare_round_arms(
    ws: HasRun,
    known: Mapping[str, KnownIssue],
    main: Assessment,
    control: Assessment,
    half: set[str],
    number: int,
) -> None:
    """Random rows (before) against targeted rows (after) on the measuring half: issue by issue,
    and as one question over the issues that drew rows."""

    def make() -> list[dict[str, Any]]:
        groups = map_groups(main.examples)
        rows = []
        for issue, _ in known.values():
            theirs, ours = (
                {key: bad for key, bad in find_issue_outcomes(issue, side).items() if key in half}
                for side in (control, main)
            )
            rows.append({"issue": issue.id, **compare_outcomes(theirs, ours, groups)})
        return rows

    def overall() -> dict[str, Any]:
        drew = {p.issue for p in ws.store.proposals(ws.run_id) if p.accepted and p.arm == "main"}
        random_rows, targeted = (
            {
                key: find_issue_outcomes(issue, side)
                for key, (issue, _) in known.items()
                if key in drew
            }
            for side in (control, main)
        )
        compared = compare_arms_diagnose(
            random_rows, targeted, half=half, groups=map_groups(main.examples)
        )
        figures = ("groups", "better", "worse", "p_value", "delta", "low", "high")
        return {name: getattr(compared, name) for name in figures} | {
            "adjusted_p": dict(compared.adjusted_p),
            "data": compared.data.sentence,
        }

    run_stage_once(ws, StageKey.of_round(StageName.ARMS, number), make)
    run_stage_once(ws, StageKey.of_round(StageName.OVERALL, number), overall)
