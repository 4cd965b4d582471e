"""What general rows did: the final rows trained once more without them, asked by guard and dev.

These are two models of one training each. What it shows is said of them; what such rows do in
general only several trainings can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from residency.evaluate.benchmarks.compare_results import compare_results
from residency.evaluate.benchmarks.run_tasks import BenchResult
from residency.evaluate.suites.primary_score import compare_primary
from residency.loop.assess import Assessment, answer_and_assess
from residency.loop.item_outcomes import map_groups
from residency.loop.replay_rows import count_replay, count_trained_replay
from residency.loop.work_ahead import AnswerOrder, TrainingOrder, WorkAhead, carry_out_training
from residency.nouns.example import Example
from residency.project.step_needs import HasAnswers, HasRows

STAGE = "replay"
"""How the events of this training and its answers begin."""


def plans_replay_control(ws: HasRows) -> bool:
    """Whether general rows are named and there is a guard that can tell what they did."""
    rounds = ws.config.rounds
    return bool(rounds.guard and rounds.replay_control and count_replay(ws, 100))


def train_without_replay(
    ws: HasAnswers, rows: Sequence[Example], final: Assessment, ahead: WorkAhead
) -> Assessment:
    """The final model's training without its general rows, and its answers to dev.

    Args:
        rows: of the final model's training, without the general ones.
    """
    answers = AnswerOrder("dev", f"{STAGE}: dev without general rows", draft=final.model)
    order = TrainingOrder(
        rows=rows,
        round_=final.model.round,
        arm="no replay",
        parent=None,
        note="without general rows",
        answers=answers,
        seed=final.model.seed,
        stage=f"{STAGE}: train without general rows",
    )
    ahead.do_trainings([order])
    model = carry_out_training(ws, order)
    return answer_and_assess(ws, model, "dev", stage=answers.stage, draft=answers.draft)


def describe_replay_effect(
    ws: HasRows,
    rows: int,
    models: tuple[Assessment, Assessment],
    results: tuple[BenchResult, BenchResult],
    margin: float,
) -> dict[str, Any]:
    """Both models on the guard's questions, and on dev by the metric that models are compared by.

    Args:
        rows: of the task, in both trainings. models, results: without general rows, and with them.
    """
    without, final = models
    change = compare_primary(
        without.scores.primary, final.scores.primary, map_groups(final.examples)
    )
    title = final.scores.primary.title if final.scores.primary else ""
    return {
        "model": without.model.id,
        "rows": count_trained_replay(ws, final.model),
        "of": rows,
        "differences": [asdict(one) for one in compare_results(*results, margin=margin)],
        "task": {"title": title, **change} if change else None,
    }
