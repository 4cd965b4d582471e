"""Further trainings of both arms: what a training's luck does, and what the data did.

An arm is a way to choose rows. Its first training is a model of the last round; the others differ
from it in seed, and with random rows in the draw as well. Nothing they show changes which model is
final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from residency.loop.aims import list_aims
from residency.loop.alpha_ledger import take_alpha
from residency.loop.assess import Assessment, answer_and_assess
from residency.loop.item_outcomes import KnownIssue, find_issue_outcomes
from residency.loop.replay_rows import mix_replay
from residency.loop.select_rows import draw_control, list_accepted_rows
from residency.loop.settle_rows import list_rejected_rows
from residency.loop.stages import run_stage_once
from residency.loop.work_ahead import (
    NOTHING_AHEAD,
    AnswerOrder,
    TrainingOrder,
    WorkAhead,
    carry_out_training,
)
from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.project.step_needs import (
    HasAnswers,
    HasMeasures,
    HasRows,
    HasRun,
    HasSettings,
)
from residency.stats.training_permutation import measure_noise
from residency.stats.trainings_compared import count_needed_trainings
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName

Arm = Literal["main", "control"]
ARM_WORDS: Mapping[Arm, str] = {"main": "targeted", "control": "control"}
MOST_IN_TIME = 8
"""Most trainings of each arm where minutes decide and no number is given."""


@dataclass(frozen=True)
class LastArms:
    """The last round that trained both arms: its models on dev, and the rows of each.

    ``extra`` are the targeted rows beside ``train``, ``control_extra`` the random ones;
    ``accepted`` the proposals behind the first, and ``aimed`` the issues that drew them.
    """

    number: int
    main: Assessment
    control: Assessment
    train: Sequence[Example]
    extra: Sequence[Example]
    control_extra: Sequence[Example]
    accepted: Sequence[Proposal]
    known: Mapping[str, KnownIssue]
    aimed: Sequence[Issue]
    measuring: set[str]


def pair_arms(
    ws: HasMeasures,
    number: int,
    models: tuple[Assessment, Assessment],
    rows: tuple[Sequence[Example], Sequence[Example], Sequence[Example]],
    known: Mapping[str, KnownIssue],
    measuring: set[str],
) -> LastArms:
    """A round that trained both arms.

    Args:
        models: with targeted rows, with random rows. rows: train, targeted ones, random ones.
    """
    proposals = [
        proposal
        for earlier in range(2, number + 1)
        for proposal in ws.store.proposals(ws.run_id, earlier)
        if proposal.accepted and proposal.arm == "main"
    ]
    accepted = proposals[: len(rows[1])]  # a person may have turned some of them down
    trained, proposed = {row.id for row in rows[1]}, {p.example.id for p in proposals}
    # A row that a person edited is no longer the proposed one: it still says which issue drew it.
    edited = {row.why.partition(" ")[0] for row in rows[1] if row.id not in proposed}
    drew = [p for p in proposals if p.example.id in trained or p.issue in edited]
    aimed = list_aims([issue for issue, _ in known.values()], drew, ws.slices)
    return LastArms(number, *models, *rows, accepted, dict(known), aimed, measuring)


@dataclass(frozen=True)
class ArmTrainings:
    """Every training of both arms, assessed on one split; the first of each is that of the round."""

    main: list[Assessment]
    control: list[Assessment]


def train_arms(ws: HasAnswers, last: LastArms, ahead: WorkAhead = NOTHING_AHEAD) -> ArmTrainings:
    """As many trainings of each arm as the plan says, each answered on dev."""
    plan = plan_trainings(ws, last)
    orders: list[tuple[TrainingOrder, TrainingOrder]] = []
    for number in range(2, plan["trainings"] + 1):
        control = _order_again(ws, last, "control", draw_control_rows(ws, last, number), number)
        main = _order_again(ws, last, "main", [*last.train, *last.extra], number)
        orders.append((control, main))
    ahead.do_trainings([order for pair in orders for order in pair])
    arms = ArmTrainings([last.main], [last.control])
    for control, main in orders:
        arms.control.append(_train_again(ws, control))
        arms.main.append(_train_again(ws, main))
    run_stage_once(ws, StageKey(StageName.ARMS_TRAINED), lambda: _describe_trainings(last, arms))
    return arms


def plan_trainings(ws: HasRows, last: LastArms) -> dict[str, Any]:
    """How many trainings of each arm, fixed and stored before any of them is trained."""

    def make() -> dict[str, Any]:
        alpha = take_alpha(ws)
        minutes = estimate_minutes(ws, last)
        plan = {
            "round": last.number,
            "trainings": count_trainings(ws, minutes),
            "needed": count_needed_trainings(alpha),
            "minutes_each": minutes,
            "alpha": alpha,
            "rows": {"targeted": len(last.extra), "control": len(last.control_extra)},
            "aimed": [issue.id for issue in last.aimed],
            "test": "labels of trainings permuted, and Welch's test; then one more random draw",
        }
        return {"id": content_id("plan", plan), **plan}

    return run_stage_once(ws, StageKey(StageName.ARMS_PLAN), make)


def count_trainings(ws: HasSettings, minutes_each: float) -> int:
    """Trainings of each arm, that of the round counted: ``rounds.trainings``, or what fits in time."""
    settings = ws.config.rounds
    if not settings.minutes:
        return settings.trainings
    most = settings.trainings if settings.trainings > 1 else MOST_IN_TIME
    return min(most, 1 + int(settings.minutes / max(minutes_each, 1e-6)))


def estimate_minutes(ws: HasRows, last: LastArms) -> float:
    """Minutes that one more training of each arm takes with its answers, from those of the round."""
    seconds = 0.0
    share = 1 + len(ws.split("test")) / max(1, len(ws.split("dev")))
    for round_, _ in ws.store.rounds(ws.run_id):
        if round_.model in (last.main.model.id, last.control.model.id):
            records = ws.store.records(RecordKind.TRAINING, round_.model)
            training = float(records[-1]["seconds"]) if records else 0.0
            seconds += training + max(0.0, round_.seconds - training) * share
    return seconds / 60


def draw_control_rows(ws: HasAnswers, last: LastArms, number: int) -> list[Example]:
    """The rows of one more training of the control arm: another draw."""
    drawn = draw_control(
        ws,
        last.accepted,
        len(last.accepted),
        list_rejected_rows(ws),
        last.number + 1000 * (number - 1),  # a separate draw: no round counts so far
        last.aimed,
        last.main.model,
    )
    return [*last.train, *list_accepted_rows(drawn, "control")]


def _order_again(
    ws: HasAnswers, last: LastArms, arm: Arm, rows: Sequence[Example], number: int
) -> TrainingOrder:
    """An arm's training with another seed."""
    first = last.main if arm == "main" else last.control
    name = f"{ARM_WORDS[arm]} {number}"
    return TrainingOrder(
        rows=mix_replay(ws, rows),
        round_=last.number,
        arm=arm,
        parent=_find_parent(ws, first),
        note=f"round {last.number}, {name}",
        answers=AnswerOrder("dev", f"arms: dev {name}", draft=first.model),
        seed=ws.config.project.seed + number - 1,
        stage=f"arms: train {name}",
    )


def _train_again(ws: HasAnswers, order: TrainingOrder) -> Assessment:
    model = carry_out_training(ws, order)
    answers = order.answers
    return answer_and_assess(ws, model, answers.split, stage=answers.stage, draft=answers.draft)


def _find_parent(ws: HasRun, assessed: Assessment) -> str | None:
    """The parent of a model's dataset, so that the same rows are the same version again."""
    dataset = assessed.model.dataset
    return ws.store.dataset(dataset).parent if dataset else None


def _describe_trainings(last: LastArms, arms: ArmTrainings) -> dict[str, Any]:
    noise = []
    for issue, _ in last.known.values():
        targeted, control = (
            [rate_of(find_issue_outcomes(issue, one), last.measuring) for one in side]
            for side in (arms.main, arms.control)
        )
        noise.append(
            {
                "issue": issue.id,
                "seed": measure_noise(targeted),
                "draw": measure_noise(control),
                "targeted": targeted,
                "control": control,
            }
        )
    return {
        "round": last.number,
        "targeted": [one.model.id for one in arms.main],
        "control": [one.model.id for one in arms.control],
        "noise": noise,
    }


def rate_of(outcomes: Mapping[str, bool | None], half: set[str]) -> float:
    """Share of the items of ``half`` that fail; one that was not scored fails."""
    inside = [failed is None or failed for key, failed in outcomes.items() if key in half]
    return sum(inside) / len(inside) if inside else 0.0
