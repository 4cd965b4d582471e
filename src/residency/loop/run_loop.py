"""The loop: prompted base → issues → fine-tune → verdicts → targeted data → … → sealed test.

It reads from top to bottom. Every step is stored when it ends, so the same call goes on
where an interrupted one stopped, and a second call with nothing to do changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from residency.diagnose.compare_arms import compare_arms as compare_arms_diagnose
from residency.diagnose.dev_halves import halves
from residency.diagnose.find_issues import find_issues
from residency.diagnose.verdicts import OPEN, Comparison, judge_round
from residency.loop.fine_tune import fit
from residency.loop.forgetting_guard import check_guard, forgetting
from residency.loop.item_outcomes import Known, groups_of, outcomes_of, paired
from residency.loop.record_run import expectations, record_data, record_round
from residency.loop.respond import (
    ZERO_SHOT,
    Assessed,
    base_model,
    evaluate_on,
    label_of,
    shots_of,
    staged,
)
from residency.loop.sealed_test import sealed_test
from residency.loop.select_rows import accepted, targeted_rows
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.verdict import Verdict
from residency.project.workspace import Workspace
from residency.results.run_summary import RunSummary, summarise_run

COMPLETE = "complete"


def run(ws: Workspace) -> RunSummary:
    """Take the project through its rounds, from wherever it is.

    Raises:
        StoreLockedError: another process is at it.
        UserError: data, settings or model are wrong; nothing half-done remains.
    """
    with ws.store.writer("run"):
        run_id = ws.open_run()
        if ws.store.stage(run_id, COMPLETE) is None:
            ws.check_splits()
            check_guard(ws)
            baselines = prompted_baselines(ws)
            reference = max(baselines.values(), key=standing)
            record_data(ws)
            mains = rounds(ws, reference)
            best = max(mains, key=standing)
            sealed_test(ws, list(baselines.values()), reference.model, best.model)
            forgetting(ws, baselines[ZERO_SHOT].model, best.model)
            staged(ws, COMPLETE, lambda: {"final": best.model.id})
        return summarise_run(ws.store, run_id)


def standing(assessed: Assessed) -> float:
    """What models are ranked by: the score with every unscored check counted as failed.

    Otherwise a model whose answers cannot be read at all would be judged by what little could.
    """
    return assessed.scores.score.floor


# --- round 0 ------------------------------------------------------------------------------


def prompted_baselines(ws: Workspace) -> dict[str, Assessed]:
    """Round 0: the base model on dev, zero-shot and (if asked for) few-shot."""
    out = {}
    arms: dict[str, list[Example]] = {ZERO_SHOT: []}
    if ws.config.evaluate.few_shot:
        arms["few-shot"] = shots_of(ws)
    for arm, shots in arms.items():
        start = time.monotonic()
        model = base_model(ws, shots)
        stage = f"round 0: {label_of(model)}"
        assessed = evaluate_on(ws, model, "dev", stage=stage, shots=shots)
        out[arm] = assessed
        record_round(ws, 0, arm, assessed, trained=0, seconds=time.monotonic() - start)
    return out


# --- rounds -------------------------------------------------------------------------------


def rounds(ws: Workspace, reference: Assessed) -> list[Assessed]:
    """Fine-tuning rounds until every issue is resolved or the budget is spent."""
    finding_half, measuring_half = halves(
        ws.split("dev"), ws.config.project.seed, share=ws.config.diagnose.finding_share
    )
    known: dict[str, Known] = {}
    add_issues(ws, known, reference, finding_half, 0)
    expectations(ws, known, measuring_half)

    train: list[Example] = ws.split("train")
    extra: list[Example] = []
    control_extra: list[Example] = []
    mains: list[Assessed] = []
    verdicts: list[Verdict] = []
    for number in range(1, ws.config.rounds.max + 1):
        previous = mains[-1] if mains else reference
        current = one_arm(ws, number, "main", [*train, *extra], previous)
        mains.append(current)
        fresh = add_issues(ws, known, current, finding_half, number)
        verdicts += judge(ws, known, fresh, previous, current, measuring_half, number, verdicts)
        if control_extra:
            control = one_arm(ws, number, "control", [*train, *control_extra], previous)
            compare_arms(ws, known, current, control, measuring_half, number)
        still_open = [issue for issue, _ in known.values() if is_open(issue, verdicts)]
        reason = ""
        if not still_open:
            reason = "every issue is resolved" if known else "no issue was found"
        elif number == ws.config.rounds.max:
            reason = "the budget of rounds is spent"
        else:
            rows = targeted_rows(
                ws,
                by_need(still_open, verdicts),
                current,
                finding_half,
                extra,
                control_extra,
                number + 1,
            )
            extra = [*extra, *accepted(rows, "main")]
            control_extra = [*control_extra, *accepted(rows, "control")]
            if not accepted(rows, "main"):
                reason = "the pool has no more rows for the open issues"
        if reason:
            staged(ws, f"stop {number}", lambda why=reason: why)  # type: ignore[misc]
            break
    return mains


def one_arm(
    ws: Workspace, number: int, arm: str, rows: Sequence[Example], previous: Assessed
) -> Assessed:
    """Train the base on these rows, then answer dev (the previous answers serve as drafts)."""
    start = time.monotonic()
    parent = previous.model.dataset
    model = fit(ws, rows, round_=number, arm=arm, parent=parent, note=f"round {number}, {arm}")
    stage = f"round {number}: dev" + (" control" if arm == "control" else "")
    assessed = evaluate_on(ws, model, "dev", stage=stage, draft=previous.model)
    record_round(ws, number, arm, assessed, trained=len(rows), seconds=time.monotonic() - start)
    return assessed


def add_issues(
    ws: Workspace, known: dict[str, Known], found_in: Assessed, half: set[str], number: int
) -> list[str]:
    """Issues that the finding half shows in these answers and that were not known; their ids."""
    issues = find_issues(
        found_in.examples,
        found_in.findings,
        found_in.responses,
        half=half,
        model=found_in.model.id,
        round=number,
        config=ws.config.diagnose,
        known=[issue for issue, _ in known.values()],
        clusters=ws.clusters,
    )
    fresh = [issue for issue in issues if issue.id not in known]
    ws.store.add_issues(ws.run_id, fresh)
    known.update({issue.id: (issue, found_in) for issue in fresh})
    return staged(ws, f"issues {number}", lambda: [issue.id for issue in fresh])


def judge(
    ws: Workspace,
    known: Mapping[str, Known],
    fresh: Sequence[str],
    previous: Assessed,
    current: Assessed,
    half: set[str],
    number: int,
    earlier: Sequence[Verdict],
) -> list[Verdict]:
    """A verdict for every known issue: its reference model against the current one.

    An issue found just now has no reference yet; it is looked for in the previous answers,
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
                before=outcomes_of(issue, then),
                after=outcomes_of(issue, current),
            )
        )
    verdicts = judge_round(
        comparisons,
        half=half,
        groups=groups_of(current.examples),
        round=number,
        config=ws.config.diagnose,
        previous=earlier,
    )
    ws.store.add_verdicts(ws.run_id, verdicts)
    return verdicts


def is_open(issue: Issue, verdicts: Sequence[Verdict]) -> bool:
    """Whether the issue still asks for data, by its latest verdict."""
    latest = [v.status for v in verdicts if v.issue == issue.id]
    return not latest or latest[-1] in OPEN


_NEED = ("regressed", "persisting", "new", "newly detected", "inconclusive", "improved")


def by_need(issues: Sequence[Issue], verdicts: Sequence[Verdict]) -> list[Issue]:
    """Which issue is given rows first, while there are any.

    What does not move comes before what falls already. Among equals a slice comes before the
    whole task, since rows of the slice teach what is missing and rows like any failure do not;
    then the order in which they were found.
    """
    latest = {v.issue: v.status for v in verdicts}

    def need(issue: Issue) -> tuple[int, bool]:
        status = latest.get(issue.id, "new")
        return _NEED.index(status) if status in _NEED else len(_NEED), issue.slice.by == "all"

    return sorted(issues, key=need)


def compare_arms(
    ws: Workspace,
    known: Mapping[str, Known],
    main: Assessed,
    control: Assessed,
    half: set[str],
    number: int,
) -> None:
    """Random rows (before) against targeted rows (after) on the measuring half: issue by issue,
    and as one question over the issues that drew rows."""

    def make() -> list[dict[str, Any]]:
        groups = groups_of(main.examples)
        rows = []
        for issue, _ in known.values():
            theirs, ours = (
                {key: bad for key, bad in outcomes_of(issue, side).items() if key in half}
                for side in (control, main)
            )
            rows.append({"issue": issue.id, **paired(theirs, ours, groups)})
        return rows

    def overall() -> dict[str, Any]:
        drew = {p.issue for p in ws.store.proposals(ws.run_id) if p.accepted and p.arm == "main"}
        random_rows, targeted = (
            {key: outcomes_of(issue, side) for key, (issue, _) in known.items() if key in drew}
            for side in (control, main)
        )
        found = compare_arms_diagnose(
            random_rows, targeted, half=half, groups=groups_of(main.examples)
        )
        figures = ("groups", "better", "worse", "p_value", "delta", "low", "high")
        return {name: getattr(found, name) for name in figures} | {
            "adjusted_p": dict(found.adjusted_p)
        }

    staged(ws, f"arms {number}", make)
    staged(ws, f"overall {number}", overall)
