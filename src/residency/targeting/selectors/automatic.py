"""The automatic choice of a selector, issue by issue, on train and pool rows alone.

A slice that is a tag is served by the tag: rows of it are what is missing. An issue that no tag
tells is served by nearness to its failures, the only thing that is known of it.
"""

from __future__ import annotations

from dataclasses import replace

from residency.nouns.proposal import Proposal
from residency.targeting.selectors.embedding import select_by_embedding
from residency.targeting.selectors.selector import SelectionRequest, share_budget
from residency.targeting.selectors.slices import rank_slice_rows, select_by_slice

LEAST_SLICE_ROWS = 5
"""Pool rows from which on a slice can be drawn from."""


def select_automatically(request: SelectionRequest) -> list[Proposal]:
    """By slice where the pool has rows of it, else by embedding; an equal budget for every issue."""
    counts = [
        len(rank_slice_rows(issue, request.failing[issue.id], request.pool, seed=request.seed))
        for issue in request.issues
    ]
    by_slice = [count >= LEAST_SLICE_ROWS for count in counts]
    available = [
        count if sliced else len(request.pool)
        for count, sliced in zip(counts, by_slice, strict=True)
    ]
    shares = share_budget(available, most_each=request.rows_per_issue, most=request.max_rows)
    budgets = {
        kind: sum(share for share, sliced in zip(shares, by_slice, strict=True) if sliced is kind)
        for kind in (True, False)
    }
    issues = {
        kind: [i for i, sliced in zip(request.issues, by_slice, strict=True) if sliced is kind]
        for kind in (True, False)
    }
    sliced = select_by_slice(replace(request, issues=issues[True], max_rows=budgets[True]))
    taken = {p.example.id for p in sliced}
    free = [row for row in request.pool if row.id not in taken]
    rest = replace(request, issues=issues[False], pool=free, max_rows=budgets[False])
    return sliced + select_by_embedding(rest)
