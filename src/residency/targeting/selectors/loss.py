"""Selection by loss: rows that the model finds hard, or that it can still learn from.

``loss``: the highest mean loss under the current model (uncertainty sampling). ``loss-drop``: the
largest normalised fall from base to current model, (before − after) / before, over a short
training; rows of noise stay high and rows that are known stay low, so neither is drawn. Both look
at pool rows alone: the issues only limit from which rows they may draw.
"""

from __future__ import annotations

import numpy as np

from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.targeting.selectors.selector import (
    Array,
    DistinctRows,
    SelectionRequest,
    sample_candidates,
    share_budget,
)
from residency.targeting.selectors.slices import rank_slice_rows


def select_by_loss(request: SelectionRequest) -> list[Proposal]:
    """For each issue the rows of its slice with the highest loss."""
    rows = sample_candidates(request)
    return _draw_highest(
        request, rows, request.signals.measure_losses(rows, trained=True), "loss-1"
    )


def select_by_loss_drop(request: SelectionRequest) -> list[Proposal]:
    """For each issue the rows of its slice whose loss the training lowered most."""
    rows = sample_candidates(request)
    before = request.signals.measure_losses(rows, trained=False)
    after = request.signals.measure_losses(rows, trained=True)
    drop = (before - after) / np.maximum(before, 1e-6)
    return _draw_highest(request, rows, drop, "loss-drop-1")


def _draw_highest(
    request: SelectionRequest, rows: list[Example], scores: Array, selector: str
) -> list[Proposal]:
    score_of = {row.id: float(score) for row, score in zip(rows, scores, strict=True)}
    ranked: list[list[Example]] = []
    for issue in request.issues:
        within = [
            row
            for row, _ in rank_slice_rows(issue, request.failing[issue.id], rows, seed=request.seed)
        ]
        ranked.append(sorted(within or rows, key=lambda row: -score_of[row.id]))
    shares = share_budget(
        [len(order) for order in ranked], most_each=request.rows_per_issue, most=request.max_rows
    )
    distinct = DistinctRows()
    proposals: list[Proposal] = []
    for issue, order, share in zip(request.issues, ranked, shares, strict=True):
        chosen = 0
        for row in order:
            if chosen == share:
                break
            if np.isfinite(score_of[row.id]) and distinct.add_if_new(row):
                chosen += 1
                score = round(score_of[row.id], 6)
                proposals.append(Proposal(issue.id, row, "pool", selector, score))
    return proposals
