"""The loop: prompted base → issues → fine-tune → verdicts → targeted data → … → sealed test.

It reads from top to bottom. Every step is stored when it ends, so the same call goes on
where an interrupted one stopped, and a second call with nothing to do changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from residency.interfaces import ProgressEvent
from residency.loop.alpha_ledger import take_alpha
from residency.loop.analysis_plan import freeze_plan
from residency.loop.arm_trainings import LastArms, pair_arms, train_arms
from residency.loop.assess import Assessment, answer_and_assess
from residency.loop.find_round_issues import add_issues
from residency.loop.fine_tune import fine_tune_base
from residency.loop.forgetting_guard import check_guard_tasks, measure_forgetting
from residency.loop.item_outcomes import (
    KnownIssue,
)
from residency.loop.judge import compare_round_arms, is_open, judge_issues, sort_by_need
from residency.loop.lost_trainings import reopen_lost_trainings
from residency.loop.measure_sensitivity import record_sensitivity
from residency.loop.record_run import record_data, record_expectations, record_round
from residency.loop.run_plan import tell_whole_run
from residency.loop.sealed_arms import measure_sealed_arms
from residency.loop.sealed_test import compare_falls_of_issues, open_sealed_test
from residency.loop.select_rows import list_accepted_rows, select_targeted_rows
from residency.loop.settle_rows import (
    list_rejected_rows,
    list_seen_rows,
    settle_rows,
    wait_for_review,
)
from residency.loop.stages import run_stage_once
from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.nouns.verdict import Verdict
from residency.project.dev_split import split_dev
from residency.project.named_models import (
    ZERO_SHOT,
    choose_project_shots,
    label_model,
    register_base_model,
)
from residency.project.step_needs import HasAnswers
from residency.project.workspace import Workspace
from residency.results.run_summary import RunSummary, summarise_run
from residency.store.stage_key import StageKey, StageName
from residency.targeting.selectors.named_selectors import find_selector

COMPLETE_STAGE = StageKey(StageName.COMPLETE)


def run_loop(ws: Workspace) -> RunSummary:
    """Take the project through its rounds, from wherever it is.

    Raises:
        StoreLockedError: another process is at it.
        UserError: data, settings or model are wrong; nothing half-done remains.
    """
    with ws.store.writer("run"):
        run_id = ws.open_run()
        for lost in reopen_lost_trainings(ws.store, run_id):
            detail = f"{lost.artifact[:19]} is {lost.state}: trained again"
            ws.progress(ProgressEvent("stored models", 0, 0, "models", {"trouble": detail}))
        if ws.store.stage(run_id, COMPLETE_STAGE) is None:
            ws.check_splits()
            check_guard_tasks(ws)
            find_selector(ws.config.target.selector)  # a wrong name stops before the first round
            with tell_whole_run(ws):
                complete_run(ws)
        return summarise_run(ws.store, run_id)


def complete_run(ws: HasAnswers) -> None:
    """Prompted base, rounds, sealed test, and what was forgotten."""
    baselines = answer_prompted_baselines(ws)
    reference = max(baselines.values(), key=rank_by_floor)
    record_data(ws)
    record_sensitivity(ws)
    rounds = run_rounds(ws, reference)
    best = max(rounds.mains, key=rank_by_floor)
    arms = train_arms(ws, rounds.last_arms) if rounds.last_arms else None
    open_sealed_test(ws, list(baselines.values()), reference.model, best.model)
    compare_falls_of_issues(ws, reference, best, rounds.measuring)
    if rounds.last_arms and arms:
        measure_sealed_arms(ws, rounds.last_arms, arms, take_alpha(ws))
    measure_forgetting(ws, baselines[ZERO_SHOT].model, best.model)
    run_stage_once(ws, COMPLETE_STAGE, lambda: {"final": best.model.id})


def rank_by_floor(assessed: Assessment) -> float:
    """What models are ranked by: the primary metric with whatever could not be judged as failed.

    Otherwise a model whose answers cannot be read at all would be judged by what little could.
    """
    primary = assessed.scores.primary
    return assessed.scores.score.floor if primary is None else primary.floor


# --- round 0 ------------------------------------------------------------------------------


def answer_prompted_baselines(ws: HasAnswers) -> dict[str, Assessment]:
    """Round 0: the base model on dev, zero-shot and (if asked for) few-shot."""
    out = {}
    arms: dict[str, list[Example]] = {ZERO_SHOT: []}
    if ws.config.evaluate.few_shot:
        arms["few-shot"] = choose_project_shots(ws)
    for arm, shots in arms.items():
        start = time.monotonic()
        model = register_base_model(ws, shots)
        stage = f"round 0: {label_model(model)}"
        assessed = answer_and_assess(ws, model, "dev", stage=stage, shots=shots)
        out[arm] = assessed
        record_round(ws, 0, arm, assessed, trained=0, seconds=time.monotonic() - start)
    return out


# --- rounds -------------------------------------------------------------------------------


@dataclass(frozen=True)
class RoundsDone:
    """Each round's model of the main arm, the items that measure, and the last round with two arms."""

    mains: list[Assessment]
    measuring: set[str]
    last_arms: LastArms | None


def run_rounds(ws: HasAnswers, reference: Assessment) -> RoundsDone:
    """Fine-tuning rounds until every issue is resolved or the budget is spent."""
    finding_half, measuring_half = split_dev(ws)
    known: dict[str, KnownIssue] = {}
    add_issues(ws, known, reference, finding_half, 0)
    record_expectations(ws, known, measuring_half)

    train: list[Example] = ws.split("train")
    extra: list[Example] = []
    control_extra: list[Example] = []
    proposed: list[Proposal] = []
    mains: list[Assessment] = []
    verdicts: list[Verdict] = []
    last_arms: LastArms | None = None
    for number in range(1, ws.config.rounds.max + 1):
        previous = mains[-1] if mains else reference
        freeze_plan(ws, known, measuring_half, number)
        current = train_and_assess(ws, number, "main", [*train, *extra], previous)
        mains.append(current)
        fresh = add_issues(ws, known, current, finding_half, number)
        verdicts += judge_issues(
            ws, known, fresh, previous, current, measuring_half, number, verdicts
        )
        if control_extra:
            control = train_and_assess(ws, number, "control", [*train, *control_extra], previous)
            compare_round_arms(ws, known, current, control, measuring_half, number)
            rows = train, extra, control_extra
            last_arms = pair_arms(ws, number, (current, control), rows, known, measuring_half)
        still_open = [issue for issue, _ in known.values() if is_open(issue, verdicts)]
        reason = ""
        if not still_open:
            reason = "every issue is resolved" if known else "no issue was found"
        elif number == ws.config.rounds.max:
            reason = "the budget of rounds is spent"
        else:
            proposals = select_targeted_rows(
                ws,
                sort_by_need(still_open, verdicts),
                current,
                finding_half,
                [*list_seen_rows(proposed, "main"), *list_rejected_rows(ws)],
                [*list_seen_rows(proposed, "control"), *list_rejected_rows(ws)],
                number + 1,
            )
            proposed += proposals
            if not list_accepted_rows(proposals, "main"):
                reason = "the pool has no more rows for the open issues"
            else:
                wait_for_review(ws, proposals, number + 1)
                earlier = len(extra)
                extra, control_extra = settle_rows(ws, proposed, number + 1)
                if len(extra) <= earlier:
                    reason = "every row that was proposed is rejected"
        if reason:
            run_stage_once(ws, StageKey.of_round(StageName.STOP, number), lambda why=reason: why)  # type: ignore[misc]
            break
    return RoundsDone(mains, measuring_half, last_arms)


def train_and_assess(
    ws: HasAnswers, number: int, arm: str, rows: Sequence[Example], previous: Assessment
) -> Assessment:
    """Train the base on these rows, then answer dev (the previous answers serve as drafts)."""
    start = time.monotonic()
    parent = previous.model.dataset
    model = fine_tune_base(
        ws, rows, round_=number, arm=arm, parent=parent, note=f"round {number}, {arm}"
    )
    stage = f"round {number}: dev" + (" control" if arm == "control" else "")
    assessed = answer_and_assess(ws, model, "dev", stage=stage, draft=previous.model)
    record_round(ws, number, arm, assessed, trained=len(rows), seconds=time.monotonic() - start)
    return assessed
