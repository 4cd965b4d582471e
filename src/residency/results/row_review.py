"""Rows that issues drew or that were made, as a person reviews them: what each serves, and how near it
comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from residency.nouns.example import Example, Split
from residency.nouns.finding import Finding
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.overlap.nearest_items import NearestItems
from residency.project.made_rows import list_made_rows
from residency.project.row_decisions import RowDecision, list_decisions, read_decisions
from residency.results.run_results import RunResults
from residency.store.drawn_pages import ProposalFilter
from residency.store.store import Store

RowState = Literal["undecided", "accepted", "edited", "rejected", "firewall"]
MOST_COMPARED = 20_000
"""Items of dev and test that a page of rows is held against at once."""
ROW_STATES: tuple[RowState, ...] = ("undecided", "accepted", "edited", "rejected", "firewall")
"""What became of a proposed row; ``firewall``: it came near dev or test, and nobody can accept it."""


@dataclass(frozen=True)
class DrawnRow:
    """A row that an issue drew for a round, or a made one, and what a person decided of it.

    ``round`` is 0 for made rows, and ``made_from`` is what such a row was made from.
    """

    round: int
    proposal: Proposal
    decision: RowDecision | None
    made_from: str = ""

    @property
    def state(self) -> RowState:
        """Where it stands."""
        if not self.proposal.accepted:
            return "firewall"
        if self.decision is None:
            return "undecided"
        words: dict[str, RowState] = {"accept": "accepted", "edit": "edited", "reject": "rejected"}
        return words[self.decision.decision]

    @property
    def example(self) -> Example:
        """The row as it would be trained."""
        edited = self.decision.edited if self.decision else None
        return edited or self.proposal.example


@dataclass(frozen=True)
class Neighbour:
    """The item of dev or test that shares most words with a row: Jaccard index in [0, 1]."""

    split: Split
    example: Example
    share: float


@dataclass(frozen=True)
class RowCase:
    """A row with what speaks for and against it.

    ``served`` is the failing item that drew it, with the answer that failed (``response``) and why.
    ``seed`` is the pool row that a teacher wrote it like.
    ``neighbours`` is None where they were not looked for: among very many items that takes seconds.
    ``earlier`` are decisions that a later one replaced, oldest first.
    """

    row: DrawnRow
    issue_title: str
    served: Example | None
    seed: Example | None
    response: Response | None
    failures: list[Finding]
    neighbours: list[Neighbour] | None
    earlier: list[RowDecision]


def list_drawn_rows(
    results: RunResults,
    *,
    issue: str = "",
    number: int = 0,
    state: str = "",
    example: str = "",
    offset: int = 0,
    limit: int | None = None,
) -> list[DrawnRow]:
    """Targeted rows of a run, those of the latest round first, undecided before decided.

    Args:
        issue: only of this issue (id). number: only of this round. state: only these. example: only
            this row (id). offset, limit: a page of them.
    """
    proposal_filter = ProposalFilter(results.run, issue, number, state, example)
    rows = results.store.drawn_page(proposal_filter, offset=offset, limit=limit)
    return [
        DrawnRow(round_, proposal, RowDecision.from_dict(decision) if decision else None)
        for round_, proposal, decision in rows
    ]


def count_drawn_states(
    results: RunResults, *, issue: str = "", number: int = 0
) -> dict[RowState, int]:
    """How many rows stand where."""
    counts = results.store.count_drawn_states(ProposalFilter(results.run, issue, number))
    return {state: counts[state] for state in ROW_STATES if state in counts}


def list_made_cases(
    store: Store, *, issue: str = "", state: str = "", example: str = ""
) -> list[DrawnRow]:
    """Rows that a teacher or templates made, undecided before decided; as ``list_drawn_rows``."""
    made = [
        DrawnRow(0, row.proposal, row.decision, row.made_from)
        for row in list_made_rows(store.folder.parent, read_decisions(store))
        if issue in ("", row.proposal.issue) and example in ("", row.proposal.example.id)
    ]
    chosen = [row for row in made if state in ("", row.state)]
    return sorted(chosen, key=lambda row: row.decision is not None)


def load_unserved_cases(store: Store, rows: Sequence[DrawnRow]) -> list[RowCase]:
    """Made rows of a project in which nothing was run yet: there is nothing to set them beside."""
    return [RowCase(row, "", None, None, None, [], None, _list_earlier(store, row)) for row in rows]


def load_cases(results: RunResults, rows: Sequence[DrawnRow]) -> list[RowCase]:
    """A page of rows with the item that each serves and its neighbours in dev and test."""
    titles = {result.issue.id: result.title for result in results.issues}
    seeds = [row.made_from.removeprefix("like ") for row in rows if row.made_from]
    served = results.store.corpus_examples(
        results.run, [*seeds, *(row.proposal.near for row in rows if row.proposal.near)]
    )
    failing = _load_failing(results, rows)
    sizes = results.store.corpus_sizes(results.run)
    neighbours: Sequence[list[Neighbour] | None] = [None] * len(rows)
    if sizes.get("dev", 0) + sizes.get("test", 0) <= MOST_COMPARED:
        neighbours = find_neighbours(results, [row.example for row in rows])
    return [
        RowCase(
            row=row,
            issue_title=titles.get(row.proposal.issue, ""),
            served=served.get(row.proposal.near),
            seed=served.get(row.made_from.removeprefix("like ")),
            response=failing[row.proposal.id][0] if row.proposal.id in failing else None,
            failures=failing[row.proposal.id][1] if row.proposal.id in failing else [],
            neighbours=near,
            earlier=_list_earlier(results.store, row),
        )
        for row, near in zip(rows, neighbours, strict=True)
    ]


def _list_earlier(store: Store, row: DrawnRow) -> list[RowDecision]:
    return list_decisions(store, row.proposal.example.id)[:-1] if row.decision else []


def _load_failing(
    results: RunResults, rows: Sequence[DrawnRow]
) -> Mapping[str, tuple[Response, list[Finding]]]:
    """The answers that drew rows: of the last model before the round, by proposal id."""
    issues = {result.issue.id: result.issue for result in results.issues}
    models = {m.number: m.id for m in results.models if m.arm == "main"}
    wanted: dict[str, str] = {}
    for number in {row.round for row in rows}:
        first = next((m.id for m in results.models), "")
        # made rows answer failures of the final model, drawn ones those of the round before
        model = (models.get(number - 1) if number else results.final_id) or first
        items = [row.proposal.near for row in rows if row.round == number and row.proposal.near]
        outcomes = results.answers.outcomes(model, "dev", items) if model and items else {}
        for row in rows:
            if row.round == number and row.proposal.near in outcomes:
                wanted[row.proposal.id] = outcomes[row.proposal.near][0].response
    responses = results.answers.responses(set(wanted.values()))
    findings = results.answers.findings(list(responses.values()))
    kinds = {row.proposal.id: issues.get(row.proposal.issue) for row in rows}

    def failures(proposal: str, response: str) -> list[Finding]:
        issue = kinds[proposal]
        failed = [f for f in findings[response] if f.status == "fail"]
        return sorted(failed, key=lambda f: issue is None or f.kind != issue.kind)

    return {
        proposal: (responses[key], failures(proposal, key))
        for proposal, key in wanted.items()
        if key in responses
    }


_NEAREST: WeakKeyDictionary[RunResults, dict[Split, NearestItems]] = WeakKeyDictionary()


def find_neighbours(results: RunResults, rows: Sequence[Example]) -> list[list[Neighbour]]:
    """The nearest item of dev and of test for each row; the first call reads both splits."""
    splits: tuple[Split, Split] = ("dev", "test")
    if results not in _NEAREST:
        _NEAREST[results] = {s: NearestItems(results.store.corpus(results.run, s)) for s in splits}
    neighbours: list[list[Neighbour]] = [[] for _ in rows]
    for split in splits:
        for neighbours_of_row, near in zip(
            neighbours, _NEAREST[results][split].find_nearest(rows), strict=True
        ):
            if near is not None:
                neighbours_of_row.append(Neighbour(split, *near))
    return neighbours
