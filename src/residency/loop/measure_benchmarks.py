"""Public benchmarks of stored models: measured once, stored item by item, each model against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from residency.evaluate.benchmarks.compare_results import Difference, compare_results
from residency.evaluate.benchmarks.load_rows import Splits
from residency.evaluate.benchmarks.run_tasks import BenchResult, run_tasks, write_requests
from residency.evaluate.benchmarks.task import Task
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.loop.benchmark_contamination import (
    Separated,
    contaminated_items,
    separate_contaminated,
)
from residency.nouns.content_id import content_id
from residency.nouns.model import Model
from residency.nouns.short_view import ShortView
from residency.project.benchmark_files import open_benchmark_files
from residency.project.named_models import require_local
from residency.project.step_needs import HasEngine
from residency.store.record_kind import RecordKind
from residency.text.words import hash_text

BENCHMARK_RECORD = RecordKind.BENCHMARK
"""Kind of the store's records that hold benchmark results, one a model and setting."""
BENCHMARKS_COMPARED_RECORD = RecordKind.BENCHMARKS_COMPARED
"""Kind of the records that hold what a call compared, for the report; keyed by the run."""


@dataclass(frozen=True)
class Benched:
    """One model's results. ``stored`` is True where nothing had to be computed."""

    name: str
    model: Model
    result: BenchResult
    stored: bool


@dataclass(frozen=True, repr=False)
class BenchReport(ShortView):
    """All models, and each later one against the first on the same items."""

    tasks: tuple[str, ...]
    models: tuple[Benched, ...]
    differences: tuple[tuple[Difference, ...], ...]
    margin: float
    contaminated: dict[str, int] = field(default_factory=dict)
    """Task → items that come near a row that may be trained."""
    separated: tuple[Separated, ...] = ()
    """Scores of each model without those items, and on them alone; empty when there are none."""

    def to_dict(self, *, items: bool = False) -> dict[str, Any]:
        """JSON-able; item by item only with ``items``."""
        models = []
        for benched in self.models:
            result = benched.result.to_dict()
            if not items:
                del result["items"]
            models.append({"name": benched.name, "model": benched.model.id, **result})
        return {
            "tasks": list(self.tasks),
            "margin": self.margin,
            "models": models,
            "differences": [[asdict(d) for d in differences] for differences in self.differences],
            "contaminated": self.contaminated,
            "separated": [s.to_dict() for s in self.separated],
        }


def measure_benchmarks(
    ws: HasEngine,
    tasks: Sequence[str],
    models: Sequence[tuple[str, Model]],
    *,
    data: str = "",
    limit: int = 0,
    shots: int | None = None,
    margin: float = 0.02,
) -> BenchReport:
    """What ``bench`` does, for a caller that holds the writer's lock: models with their names."""
    chosen = find_tasks(tasks, folder=ws.root)
    splits = open_benchmark_files(ws, chosen, data)
    key = hash_questions(chosen, splits, limit, shots)
    if (precision := ws.config.generate.precision) != "fp32":
        key = f"{key} {precision}"
    done: list[Benched] = []
    for name, model in models:
        stored = [row for row in ws.store.records(BENCHMARK_RECORD, model.id) if row["key"] == key]
        if stored:
            result = BenchResult.from_dict(stored[-1]["result"])
        else:
            require_local(ws, model, "benchmarks need log-likelihoods, which no endpoint tells")
            adapter = model.adapter
            ws.engine.use_adapter(ws.store.artifacts.folder(adapter) if adapter else None)
            result = run_tasks(
                chosen, splits, ws.engine, limit=limit, shots=shots, progress=ws.progress
            )
            body = {"key": key, "tasks": [t.name for t in chosen], "result": result.to_dict()}
            ws.store.add_record(BENCHMARK_RECORD, model.id, body)
        done.append(Benched(name, model, result, bool(stored)))
    first = done[0].result
    items_asked: dict[str, list[int]] = {}
    for item in first.items:
        items_asked.setdefault(item.task, []).append(item.index)
    trained_on = [*ws.split("train"), *ws.split("pool"), *ws.general_rows.rows]
    near = contaminated_items(trained_on, chosen, splits, items_asked)
    report = BenchReport(
        tasks=tuple(task.name for task in chosen),
        models=tuple(done),
        differences=tuple(
            tuple(compare_results(first, other.result, margin=margin)) for other in done[1:]
        ),
        margin=margin,
        contaminated={task: len(items) for task, items in near.items()},
        separated=tuple(separate_contaminated(b.name, b.result, chosen, near) for b in done)
        if near
        else (),
    )
    ws.store.add_record(BENCHMARKS_COMPARED_RECORD, ws.run_id, report.to_dict())
    return report


def hash_questions(tasks: Sequence[Task], splits: Splits, limit: int, shots: int | None) -> str:
    """Hash of every context and choice that a model would get."""
    prompts = []
    for task in tasks:
        requests = write_requests(task, splits, limit=limit, shots=shots)
        prompts.append([task.name, hash_text("\x1e".join(requests.lines))])
    return content_id("bench", prompts)
