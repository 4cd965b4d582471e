"""``residency bench``: public benchmarks of stored models, paired, on one loaded base."""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import UserError
from residency.loop.measure_benchmarks import BenchReport, measure_benchmarks
from residency.project.named_models import find_model
from residency.project.workspace import Workspace


def bench(
    ws: Workspace,
    tasks: Sequence[str],
    *,
    models: Sequence[str] = ("base",),
    data: str = "",
    limit: int = 0,
    shots: int | None = None,
    margin: float = 0.02,
) -> BenchReport:
    """Scores of models on benchmarks; stored answers to the same items are used again.

    Args:
        tasks: e.g. ``arc_challenge``, ``hellaswag``, ``mmlu``, ``truthfulqa``.
        models: by name or id; the later ones are compared with the first.
        data: folder of benchmark files, or ``hub``; empty: the setting ``data.benchmarks``.
        limit: items a task, the first ones (0: all). shots: None for each task's usual number.
        margin: loss of a metric that is not called forgetting.

    Raises:
        SuiteError: an unknown task, or files that are not there. StoreError: unknown models.
    """
    if not models:
        raise UserError("no model to measure", next_step="name one with --model, e.g. base")
    named = [(name, find_model(ws, name)) for name in models]
    with ws.store.writer("bench"):
        return measure_benchmarks(
            ws, tasks, named, data=data, limit=limit, shots=shots, margin=margin
        )
