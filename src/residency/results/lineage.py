"""Which rows made which model: the base, every training, and for which issue each row came."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.dataset_version import DatasetVersion
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults
from residency.store.drawn_pages import RowSource


@dataclass(frozen=True)
class LineageStep:
    """A model with its dataset version and the rows that came for issues."""

    result: ModelResult
    dataset: DatasetVersion | None
    sources: list[RowSource]


def trace_lineage(results: RunResults) -> list[LineageStep]:
    """Every model with the dataset, rows and training that made it, oldest first."""
    sources = results.store.count_row_sources(results.run)
    return [
        LineageStep(
            result,
            results.datasets.get(result.model.dataset or ""),
            [s for s in sources if (s.round, s.arm) == (result.number, result.arm)],
        )
        for result in results.models
    ]
