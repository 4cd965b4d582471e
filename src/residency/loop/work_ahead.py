"""Trainings and answers that the story is about to need, told beforehand to whoever can do several.

The story itself stays in order and reads what is stored. What was done ahead is stored before it
comes to it, under the names that it would give; so every figure is the same as without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from residency.errors import ResidencyError
from residency.loop.fine_tune import fine_tune_base, name_training
from residency.loop.stages import run_stage_once
from residency.nouns.example import Example, Split
from residency.nouns.model import Model
from residency.project.step_needs import HasAnswers
from residency.store.stage_key import StageKey, StageName


@dataclass(frozen=True)
class AnswerOrder:
    """A model's answers to a split, as ``answer_and_assess`` will ask for them.

    Attributes:
        model: None for the model of the training that this stands beside.
        draft: see ``respond``.
    """

    split: Split
    stage: str
    model: Model | None = None
    shots: Sequence[Example] = ()
    draft: Model | None = None


@dataclass(frozen=True)
class TrainingOrder:
    """A training, as the run will order it of ``fine_tune_base``, and the answers that follow."""

    rows: Sequence[Example]
    round_: int
    arm: str
    parent: str | None
    note: str
    answers: AnswerOrder
    seed: int | None = None
    stage: str = ""


class WorkAhead(Protocol):
    """Does work before the story comes to it, in any order."""

    def do_trainings(self, orders: Sequence[TrainingOrder]) -> None:
        """Have these trainings and their answers stored; nothing is done twice.

        Raises:
            ResidencyError: one of them failed.
        """

    def do_answers(self, orders: Sequence[AnswerOrder]) -> None:
        """Have these answers stored.

        Raises:
            ResidencyError: some could not be made.
        """

    def count_seconds(self, model: Model) -> float:
        """Seconds of work that were done ahead for a model, by whoever did it."""
        ...


class NothingAhead:
    """The story does everything when it comes to it."""

    def do_trainings(self, orders: Sequence[TrainingOrder]) -> None:
        """See ``WorkAhead``."""

    def do_answers(self, orders: Sequence[AnswerOrder]) -> None:
        """See ``WorkAhead``."""

    def count_seconds(self, model: Model) -> float:
        """See ``WorkAhead``."""
        return 0.0


NOTHING_AHEAD = NothingAhead()


def carry_out_training(ws: HasAnswers, order: TrainingOrder) -> Model:
    """The training itself, unless it is stored; its model."""
    return fine_tune_base(
        ws,
        order.rows,
        round_=order.round_,
        arm=order.arm,
        parent=order.parent,
        note=order.note,
        seed=order.seed,
        stage=order.stage,
    )


def find_training(ws: HasAnswers, order: TrainingOrder) -> dict[str, Any] | None:
    """What is stored of a training; None where it is still to be done."""
    key = name_training(ws, order.rows, parent=order.parent, note=order.note, seed=order.seed)
    stage = ws.store.stage(ws.run_id, key)
    return stage and stage["result"]


def keep_training_result(
    ws: HasAnswers,
    order: TrainingOrder,
    result: Mapping[str, Any],
    adapter: Path,
    metrics: Sequence[Mapping[str, Any]],
) -> Model:
    """Store a training that was done elsewhere, as if it had been done here; its model.

    Args:
        made: what ``fine_tune_base`` stored there. adapter: its folder. metrics: of its steps.

    Raises:
        ResidencyError: it is another training than the one that was ordered.
    """
    key = name_training(ws, order.rows, parent=order.parent, note=order.note, seed=order.seed)
    if str(key) != str(StageKey(StageName.TRAIN, result["training"])):
        raise ResidencyError(
            "another training was done than the run asked for",
            where=order.note,
            next_step="give every machine the same version of residency",
        )
    if ws.store.artifacts.put_folder(adapter) != result["adapter"]:
        raise ResidencyError("the adapter was changed on its way", where=order.note)
    for event in metrics:
        ws.store.add_metrics(result["training"], int(event["step"]), event)
    run_stage_once(ws, key, lambda: dict(result))
    return carry_out_training(ws, order)
