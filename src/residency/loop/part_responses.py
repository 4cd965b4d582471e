"""What earlier rounds did to an issue: its failure rate and its trained rows, then and now."""

from __future__ import annotations

from collections.abc import Mapping

from residency.loop.assess import Assessment
from residency.loop.item_outcomes import KnownIssue, find_issue_outcomes
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.project.step_needs import HasRows
from residency.targeting.selectors.predicted_fall import PartResponse


def list_trained_rows(ws: HasRows, model: Model) -> list[Example]:
    """The project's rows that a model was trained on; none where it is a bare base."""
    if model.dataset is None:
        return []
    ids = set(ws.store.dataset(model.dataset).rows)
    return [row for row in ws.corpus.examples if row.id in ids]


def measure_responses(
    ws: HasRows, known: Mapping[str, KnownIssue], current: Assessment, half: set[str]
) -> dict[str, PartResponse]:
    """Issues that were found in a trained model, and what became of them since.

    Only items of ``half`` (the finding one) are looked at: what measures chooses no rows.
    """
    return {
        issue.id: measure_response(ws, issue, found_in, current, half)
        for issue, found_in in known.values()
        if found_in.model.dataset and found_in.model.id != current.model.id
    }


def measure_response(
    ws: HasRows, issue: Issue, found_in: Assessment, current: Assessment, half: set[str]
) -> PartResponse:
    """One issue's failure rate and trained rows, when it was found and now."""
    rates, rows = [], []
    for assessed in (found_in, current):
        outcomes = find_issue_outcomes(issue, assessed)
        inside = [failed is None or failed for key, failed in outcomes.items() if key in half]
        rates.append(sum(inside) / max(1, len(inside)))
        rows.append(sum(map(issue.slice.contains, list_trained_rows(ws, assessed.model))))
    return PartResponse(rates[0], rates[1], rows[0], rows[1])
