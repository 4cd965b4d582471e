"""Has it forgotten? Base against final on public benchmarks, at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from residency.evaluate.benchmarks.run_tasks import write_requests
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.loop.assess import Assessment
from residency.loop.measure_benchmarks import hash_questions, measure_benchmarks
from residency.loop.replay_effect import (
    describe_replay_effect,
    plans_replay_control,
    train_without_replay,
)
from residency.loop.replay_rows import count_trained_replay
from residency.loop.stages import run_stage_once
from residency.loop.work_ahead import NOTHING_AHEAD, WorkAhead
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.benchmark_files import open_benchmark_files
from residency.project.step_needs import HasAnswers, HasSettings
from residency.store.stage_key import StageKey, StageName

_STAGE = StageKey(StageName.FORGETTING)


def check_guard_tasks(ws: HasSettings) -> None:
    """Read the benchmarks that ``rounds.guard`` names: a missing file stops a run at its start.

    Raises:
        SuiteError: an unknown task, or files that are not there. UserError: no folder is named.
    """
    if ws.config.rounds.guard:
        tasks = find_tasks(ws.config.rounds.guard, folder=ws.root)
        splits = open_benchmark_files(ws, tasks)
        for task in tasks:
            write_requests(task, splits, limit=1, shots=0)


def measure_forgetting(
    ws: HasAnswers,
    base: Model,
    final: Assessment,
    rows: Sequence[Example],
    ahead: WorkAhead = NOTHING_AHEAD,
) -> dict[str, Any] | None:
    """The final model against the bare base, item by item; None where no benchmark is named.

    Where general rows were trained, also the same training without them against the final model.

    Args:
        rows: of the final model's training, without the general ones.
    """
    tasks, items = ws.config.rounds.guard, ws.config.rounds.guard_items
    if not tasks or base.id == final.model.id:
        return None

    def make() -> dict[str, Any]:
        models = [("base", base), ("final", final.model)]
        without = None
        if plans_replay_control(ws) and count_trained_replay(ws, final.model):
            without = train_without_replay(ws, rows, final, ahead)
            models.insert(1, ("without general rows", without.model))
        report = measure_benchmarks(ws, tasks, models, limit=items, shots=0)
        body = {
            "margin": report.margin,
            "differences": [asdict(difference) for difference in report.differences[-1]],
            "questions": _hash_guard(ws),
        }
        if without is not None:
            results = report.models[1].result, report.models[2].result
            body["replay"] = describe_replay_effect(
                ws, len(rows), (without, final), results, report.margin
            )
        return body

    return run_stage_once(ws, _STAGE, make)


def reopen_changed_guard(ws: HasSettings) -> bool:
    """Ask again what the guard asked, where its files hold other questions now; whether it was so.

    The files are the user's, and no part of what a run is made of: nothing else hangs on them.
    """
    if not ws.config.rounds.guard:
        return False
    asked = ((ws.store.stage(ws.run_id, _STAGE) or {}).get("result") or {}).get("questions")
    if asked is None or asked == _hash_guard(ws):
        return False
    with ws.store.writer("run"):
        ws.store.reopen_stage(ws.run_id, _STAGE)
        ws.store.reopen_stage(ws.run_id, StageKey(StageName.COMPLETE))
    return True


def _hash_guard(ws: HasSettings) -> str:
    tasks = find_tasks(ws.config.rounds.guard, folder=ws.root)
    splits = open_benchmark_files(ws, tasks)
    return hash_questions(tasks, splits, ws.config.rounds.guard_items, 0)
