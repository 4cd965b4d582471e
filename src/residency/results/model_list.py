"""Every run of a project and the models of each, as a list to choose from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from residency.results.leading_figures import LeadingFigures, choose_leading_figures
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults
from residency.store.store import Store


@dataclass(frozen=True)
class ListedRun:
    """A run with its models and what each is compared by, oldest round first."""

    run: str
    base: str
    complete: bool
    is_latest: bool
    models: list[tuple[ModelResult, LeadingFigures]]


def list_runs(store: Store, open_run: Callable[[str], RunResults]) -> list[ListedRun]:
    """Every run, the newest first.

    Args:
        open_run: the read-out of a run by id; whoever shows the list often keeps what it read.
    """
    latest = store.latest_run()
    runs = []
    for run in reversed(store.runs()):
        results = open_run(run)
        models = list(results.models)
        figures = choose_leading_figures([model.scores for model in models])
        runs.append(
            ListedRun(
                run=run,
                base=results.data.base.name or str(results.opened.get("base", "")),
                complete=results.complete,
                is_latest=run == latest,
                models=list(zip(models, figures, strict=True)),
            )
        )
    return runs


def find_run_of(runs: list[ListedRun], model: str) -> str:
    """The newest run that a model belongs to; empty where none has it."""
    return next(
        (run.run for run in runs if any(result.id == model for result, _ in run.models)), ""
    )
