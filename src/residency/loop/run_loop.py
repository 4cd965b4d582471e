"""The loop: prompted base → issues → fine-tune → verdicts → targeted data → … → sealed test.

It reads from top to bottom. Every step is stored when it ends, so the same call goes on
where an interrupted one stopped, and a second call with nothing to do changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from residency.interfaces import ProgressEvent
from residency.loop.alpha_ledger import take_alpha
from residency.loop.analysis_plan import freeze_plan
from residency.loop.arm_trainings import LastArms, pair_arms, train_arms
from residency.loop.ask_servers import ask_servers
from residency.loop.assess import Assessment, answer_and_assess
from residency.loop.draw_next_rows import DrawnRows, draw_next_rows
from residency.loop.find_round_issues import add_issues
from residency.loop.forgetting_guard import (
    check_guard_tasks,
    measure_forgetting,
    reopen_changed_guard,
)
from residency.loop.item_outcomes import KnownIssue
from residency.loop.judge import compare_round_arms, is_open, judge_issues, sort_by_need
from residency.loop.lost_trainings import reopen_lost_trainings
from residency.loop.measure_sensitivity import record_sensitivity
from residency.loop.metric_while_training import check_metric
from residency.loop.part_responses import measure_responses
from residency.loop.record_run import record_data, record_expectations, record_round
from residency.loop.replay_rows import mix_replay
from residency.loop.run_plan import tell_whole_run
from residency.loop.sealed_arms import measure_sealed_arms
from residency.loop.sealed_test import compare_falls_of_issues, open_sealed_test
from residency.loop.stages import run_stage_once
from residency.loop.work_ahead import (
    NOTHING_AHEAD,
    AnswerOrder,
    TrainingOrder,
    WorkAhead,
    carry_out_training,
)
from residency.nouns.example import Example
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


def run_loop(
    ws: Workspace, open_ahead: Callable[[], AbstractContextManager[WorkAhead]] | None = None
) -> RunSummary:
    """Take the project through its rounds, from wherever it is.

    Args:
        open_ahead: opens what does trainings and answers before the story comes to them.

    Raises:
        StoreLockedError: another process is at it.
        UserError: data, settings or model are wrong; nothing half-done remains.
    """
    check_choices(ws)
    with ExitStack() as locks:
        locks.enter_context(ws.store.writer("run"))
        if ws.store.stage(ws.run_id, COMPLETE_STAGE) is None:
            ws.check_splits()
            ask_servers(ws)
        run_id = ws.open_run()
        locks.enter_context(ws.store.job(f"run {run_id}", "run"))
        ws.store.artifacts.send_missing()
        for lost in reopen_lost_trainings(ws.store, run_id):
            detail = f"{lost.artifact[:19]} is {lost.state}: trained again"
            ws.progress(ProgressEvent("stored models", 0, 0, "models", {"trouble": detail}))
        if reopen_changed_guard(ws):
            detail = "its files hold other questions than those that were asked: asked again"
            ws.progress(ProgressEvent("guard", 0, 0, "tasks", {"trouble": detail}))
        if ws.store.stage(run_id, COMPLETE_STAGE) is None:
            with ExitStack() as stack:
                stack.enter_context(tell_whole_run(ws))
                ahead = stack.enter_context(open_ahead()) if open_ahead else NOTHING_AHEAD
                complete_run(ws, ahead)
        return summarise_run(ws.store, run_id)


def check_choices(ws: HasAnswers) -> None:
    """Refuse names that the run would come to late: opened with them, it could never end.

    Raises:
        UserError: no benchmark, selector or metric has the name that the settings give.
    """
    check_guard_tasks(ws)
    find_selector(ws.config.target.selector)
    check_metric(ws)


def complete_run(ws: HasAnswers, ahead: WorkAhead = NOTHING_AHEAD) -> None:
    """Prompted base, rounds, sealed test, and what was forgotten."""
    baselines = answer_prompted_baselines(ws, ahead)
    reference = max(baselines.values(), key=rank_by_floor)
    record_data(ws)
    record_sensitivity(ws)
    rounds = run_rounds(ws, reference, ahead)
    best = max(rounds.mains, key=rank_by_floor)
    arms = train_arms(ws, rounds.last_arms, ahead) if rounds.last_arms else None
    open_sealed_test(ws, list(baselines.values()), reference.model, best.model, ahead)
    compare_falls_of_issues(ws, reference, best, rounds.measuring)
    if rounds.last_arms and arms:
        measure_sealed_arms(ws, rounds.last_arms, arms, take_alpha(ws), ahead)
    rows = next(rows for main, rows in zip(rounds.mains, rounds.rows, strict=True) if main is best)
    measure_forgetting(ws, baselines[ZERO_SHOT].model, best, rows, ahead)
    run_stage_once(ws, COMPLETE_STAGE, lambda: {"final": best.model.id})


def rank_by_floor(assessed: Assessment) -> float:
    """What models are ranked by: the primary metric with whatever could not be judged as failed.

    Otherwise a model whose answers cannot be read at all would be judged by what little could.
    """
    primary = assessed.scores.primary
    return assessed.scores.score.floor if primary is None else primary.floor


# --- round 0 ------------------------------------------------------------------------------


def answer_prompted_baselines(
    ws: HasAnswers, ahead: WorkAhead = NOTHING_AHEAD
) -> dict[str, Assessment]:
    """Round 0: the base model on dev, zero-shot and (if the settings say so) few-shot."""
    out = {}
    arms: dict[str, list[Example]] = {ZERO_SHOT: []}
    if ws.config.evaluate.few_shot:
        arms["few-shot"] = choose_project_shots(ws)
    models = {arm: register_base_model(ws, shots) for arm, shots in arms.items()}
    stages = {arm: f"round 0: {label_model(model)}" for arm, model in models.items()}
    ahead.do_answers([AnswerOrder("dev", stages[arm], models[arm], arms[arm]) for arm in arms])
    for arm, shots in arms.items():
        start = time.monotonic()
        assessed = answer_and_assess(ws, models[arm], "dev", stage=stages[arm], shots=shots)
        out[arm] = assessed
        seconds = time.monotonic() - start + ahead.count_seconds(models[arm])
        record_round(ws, 0, arm, assessed, trained=0, seconds=seconds)
    return out


# --- rounds -------------------------------------------------------------------------------


@dataclass(frozen=True)
class RoundsDone:
    """Each round's model of the main arm with its rows of the task, the items that measure, and the
    last round with two arms."""

    mains: list[Assessment]
    rows: list[list[Example]]
    measuring: set[str]
    last_arms: LastArms | None


def run_rounds(
    ws: HasAnswers, reference: Assessment, ahead: WorkAhead = NOTHING_AHEAD
) -> RoundsDone:
    """Fine-tuning rounds until every issue is resolved or the budget is spent."""
    finding_half, measuring_half = split_dev(ws)
    known: dict[str, KnownIssue] = {}
    add_issues(ws, known, reference, finding_half, 0)
    record_expectations(ws, known, measuring_half)

    train = ws.split("train")
    drawn = DrawnRows()
    mains: list[Assessment] = []
    main_rows: list[list[Example]] = []
    verdicts: list[Verdict] = []
    last_arms: LastArms | None = None
    for number in range(1, ws.config.rounds.max + 1):
        previous = mains[-1] if mains else reference
        freeze_plan(ws, known, measuring_half, number)
        rows_of = {"main": [*train, *drawn.targeted]}
        if drawn.control:
            rows_of["control"] = [*train, *drawn.control]
        orders = {
            arm: order_training(number, arm, mix_replay(ws, rows), previous)
            for arm, rows in rows_of.items()
        }
        ahead.do_trainings(list(orders.values()))
        current = train_and_assess(ws, orders["main"], ahead)
        mains.append(current)
        main_rows.append(rows_of["main"])
        fresh = add_issues(ws, known, current, finding_half, number)
        verdicts += judge_issues(
            ws, known, fresh, previous, current, measuring_half, number, verdicts
        )
        if drawn.control:
            control = train_and_assess(ws, orders["control"], ahead)
            compare_round_arms(ws, known, current, control, measuring_half, number)
            rows = train, drawn.targeted, drawn.control
            last_arms = pair_arms(ws, number, (current, control), rows, known, measuring_half)
        still_open = [issue for issue, _ in known.values() if is_open(issue, verdicts)]
        if not still_open:
            reason = "every issue is resolved" if known else "no issue was found"
        elif number == ws.config.rounds.max:
            reason = "the budget of rounds is spent"
        else:
            needy = sort_by_need(still_open, verdicts)
            responses = measure_responses(ws, known, current, finding_half)
            reason = draw_next_rows(ws, drawn, needy, current, finding_half, number + 1, responses)
        if reason:
            run_stage_once(ws, StageKey.of_round(StageName.STOP, number), lambda why=reason: why)  # type: ignore[misc]
            break
    return RoundsDone(mains, main_rows, measuring_half, last_arms)


def order_training(
    number: int, arm: str, rows: Sequence[Example], previous: Assessment
) -> TrainingOrder:
    """The training of a round's arm, and its answers to dev (the previous ones serve as drafts)."""
    stage = f"round {number}: dev" + (" control" if arm == "control" else "")
    return TrainingOrder(
        rows=rows,
        round_=number,
        arm=arm,
        parent=previous.model.dataset,
        note=f"round {number}, {arm}",
        answers=AnswerOrder("dev", stage, draft=previous.model),
    )


def train_and_assess(ws: HasAnswers, order: TrainingOrder, ahead: WorkAhead) -> Assessment:
    """Train the base as ordered, then answer dev."""
    start = time.monotonic()
    model = carry_out_training(ws, order)
    answers = order.answers
    assessed = answer_and_assess(ws, model, answers.split, stage=answers.stage, draft=answers.draft)
    seconds = time.monotonic() - start + ahead.count_seconds(model)
    record_round(ws, order.round_, order.arm, assessed, trained=len(order.rows), seconds=seconds)
    return assessed
