"""Selection by slice: an equal budget for every open issue, drawn at random from its slice.

Rows near single failures teach those failures' wording; random rows of the slice teach the slice.
An issue whose slice is a tag draws pool rows of that tag. Other issues (of the whole task, of a
cluster) draw rows of the tags that are more frequent among their failures than in the pool.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.targeting.selectors.selector import (
    DistinctRows,
    SelectionRequest,
    order_by_seed,
    share_budget,
)

SELECTOR = "slice-1"
_LEAST_LIFT = 1.5
"""A tag tells of an issue when it is so many times as frequent among the failures."""


def select_by_slice(request: SelectionRequest) -> list[Proposal]:
    """The same number of rows for every issue, from its slice, at random by the seed."""
    ranked = [
        rank_slice_rows(issue, request.failing[issue.id], request.pool, seed=request.seed)
        for issue in request.issues
    ]
    shares = share_budget(
        [len(rows) for rows in ranked], most_each=request.rows_per_issue, most=request.max_rows
    )
    distinct = DistinctRows()
    proposals_of_issue: list[list[Proposal]] = [[] for _ in ranked]
    queues = [iter(rows) for rows in ranked]
    # In turns, so that an issue whose slice lies within another's gets its share.
    open_issues = list(range(len(ranked)))
    while open_issues:
        for n in list(open_issues):
            row_score = (
                next((pair for pair in queues[n] if distinct.add_if_new(pair[0])), None)
                if len(proposals_of_issue[n]) < shares[n]
                else None
            )
            if row_score is None:
                open_issues.remove(n)
                continue
            row, score = row_score
            issue = request.issues[n].id
            proposals_of_issue[n].append(Proposal(issue, row, "pool", SELECTOR, round(score, 6)))
    return [proposal for proposals in proposals_of_issue for proposal in proposals]


def rank_slice_rows(
    issue: Issue, failing: Sequence[Example], pool: Sequence[Example], *, seed: int
) -> list[tuple[Example, float]]:
    """Rows that can serve the issue, best first: log₂ of how much its tag tells, then by the seed."""
    if issue.slice.by in ("tag", "field", "words"):
        scored = [(row, 1.0) for row in pool if issue.slice.contains(row)]
    else:
        lifts = measure_tag_lifts(failing, pool)
        scored = [
            (row, max((lifts.get(tag, 0.0) for tag in row.tags), default=0.0)) for row in pool
        ]
        scored = [(row, score) for row, score in scored if score >= math.log2(_LEAST_LIFT)]
    return sorted(scored, key=lambda pair: (-pair[1], order_by_seed(seed, pair[0].id)))


def measure_tag_lifts(failing: Sequence[Example], pool: Sequence[Example]) -> dict[str, float]:
    """Tag → log₂ of how much more frequent it is among the failures than in the pool (0.5 added)."""
    among = Counter(tag for example in failing for tag in set(example.tags))
    usual = Counter(tag for row in pool for tag in set(row.tags))
    return {
        tag: math.log2((count + 0.5) / (len(failing) * usual[tag] / max(1, len(pool)) + 0.5))
        for tag, count in among.items()
    }
