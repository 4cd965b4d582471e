"""Has it forgotten? Base against final on public benchmarks, at the end of a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from residency.evaluate.benchmarks.run_tasks import write_requests
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.loop.measure_benchmarks import (
    hash_questions,
    measure_benchmarks,
    open_benchmark_files,
)
from residency.loop.stages import run_stage_once
from residency.nouns.model import Model
from residency.project.step_needs import HasEngine, HasSettings
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


def measure_forgetting(ws: HasEngine, base: Model, final: Model) -> dict[str, Any] | None:
    """The final model against the bare base, item by item; None where no benchmark is named."""
    tasks, items = ws.config.rounds.guard, ws.config.rounds.guard_items
    if not tasks or base.id == final.id:
        return None

    def make() -> dict[str, Any]:
        report = measure_benchmarks(
            ws, tasks, [("base", base), ("final", final)], limit=items, shots=0
        )
        differences = [asdict(difference) for difference in report.differences[0]]
        asked = _hash_guard(ws)
        return {"margin": report.margin, "differences": differences, "questions": asked}

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
