"""Which rows made which model: the base, every training, and for which issue each row came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.proposal import Proposal
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults


@dataclass(frozen=True)
class RowSource:
    """So many accepted rows that one issue drew from one origin."""

    issue: str
    title: str
    origin: str
    rows: int


@dataclass(frozen=True)
class LineageStep:
    """A model with its dataset version and the rows that came for issues."""

    result: ModelResult
    dataset: DatasetVersion | None
    sources: list[RowSource]


def trace_lineage(results: RunResults) -> list[LineageStep]:
    """Every model with the dataset, rows and training that made it, oldest first."""
    return [
        LineageStep(
            result,
            results.datasets.get(result.model.dataset or ""),
            count_sources(results, results.proposals.get(result.number, ()), result.arm),
        )
        for result in results.models
    ]


def count_sources(results: RunResults, proposals: Iterable[Proposal], arm: str) -> list[RowSource]:
    """Accepted rows of an arm counted by issue and by origin."""
    titles = {issue.issue.id: issue.title for issue in results.issues}
    counts = Counter(
        (proposal.issue, f"{proposal.origin}, {proposal.selector}")
        for proposal in proposals
        if proposal.accepted and proposal.arm == arm
    )
    return [
        RowSource(issue, titles.get(issue, issue), origin, rows)
        for (issue, origin), rows in counts.items()
    ]
