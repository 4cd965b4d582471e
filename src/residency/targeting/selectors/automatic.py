"""The automatic choice: parts of the task first, each with its budget; the rest by nearness.

It looks at train and pool rows and at the finding half of dev alone. The parts are the slices that
issues name, and those that tell where whole-task issues fail; what they cannot use goes to issues
that no part tells, by nearness to their failures, the only thing that is known of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from residency.nouns.proposal import Proposal
from residency.targeting.selectors.embedding import select_by_embedding
from residency.targeting.selectors.parts import Part, find_parts
from residency.targeting.selectors.predicted_fall import PartNeed, learn_rate, spread_budget
from residency.targeting.selectors.selector import DistinctRows, SelectionRequest

SELECTOR = "parts-1"


def select_automatically(request: SelectionRequest) -> list[Proposal]:
    """Rows of the parts, by predicted fall; what is left of the budget by nearness."""
    parts = find_parts(request)
    needs = [measure_need(request, part) for part in parts]
    shares = spread_budget(needs, most_each=request.rows_per_issue, most=request.max_rows)
    proposals = draw_parts(parts, shares)
    served = {proposal.issue for proposal in proposals}
    unserved = [issue for issue in request.issues if issue.id not in served]
    drawn_ids = {proposal.example.id for proposal in proposals}
    rest = replace(
        request,
        issues=unserved,
        pool=[row for row in request.pool if row.id not in drawn_ids],
        max_rows=request.max_rows - len(proposals),
    )
    return proposals + (select_by_embedding(rest) if unserved and rest.max_rows > 0 else [])


def measure_need(request: SelectionRequest, part: Part) -> PartNeed:
    """What decides the part's share of the budget."""
    return PartNeed(
        failures=len(part.failures),
        trained=part.trained,
        available=len(part.rows),
        pool_share=len(part.rows) / max(1, len(request.pool)),
        rate=learn_rate(request.responses.get(part.issue.id)),
    )


def draw_parts(parts: Sequence[Part], shares: Sequence[int]) -> list[Proposal]:
    """Each part's share of its rows, at random, none twice; in turns, so that a part within another
    gets its share."""
    distinct = DistinctRows()
    queues = [iter(part.rows) for part in parts]
    proposals_of_part: list[list[Proposal]] = [[] for _ in parts]
    open_parts = list(range(len(parts)))
    while open_parts:
        for n in list(open_parts):
            row = None
            if len(proposals_of_part[n]) < shares[n]:
                row = next((row for row in queues[n] if distinct.add_if_new(row)), None)
            if row is None:
                open_parts.remove(n)
                continue
            part = parts[n]
            proposals_of_part[n].append(
                Proposal(part.issue.id, row, "pool", SELECTOR, 1.0, part=part.name)
            )
    return [proposal for proposals in proposals_of_part for proposal in proposals]
