"""The control arm: as many random pool rows as targeted ones."""

from __future__ import annotations

from collections.abc import Sequence

from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.targeting.selectors.selector import order_by_seed


def draw_random_rows(
    proposals: Sequence[Proposal], pool: Sequence[Example], *, exclude: set[str], seed: int
) -> list[Proposal]:
    """As many random pool rows as ``proposals``: the arm that shows what more rows alone do.

    Drawn from the whole pool without ``exclude`` (a row may also be a targeted one: it is
    random all the same). Fewer come back only if the pool is smaller. The draw follows from
    row ids and seed, not from their order.
    """
    free = sorted(
        (row for row in pool if row.id not in exclude), key=lambda row: order_by_seed(seed, row.id)
    )
    return [
        Proposal(
            issue=proposal.issue,
            example=row,
            origin="pool",
            selector="random",
            score=0.0,
            arm="control",
        )
        for proposal, row in zip(proposals, free, strict=False)
    ]
