"""Between two rounds: rows are drawn for the issues that are open, people look at them, and they join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from residency.loop.assess import Assessment
from residency.loop.select_rows import list_accepted_rows, select_targeted_rows
from residency.loop.settle_rows import (
    list_rejected_rows,
    list_seen_rows,
    settle_rows,
    wait_for_review,
)
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.project.step_needs import HasAnswers
from residency.targeting.selectors.predicted_fall import PartResponse


@dataclass
class DrawnRows:
    """What the rounds so far drew beside train: everything that was proposed, and each arm's rows."""

    proposed: list[Proposal] = field(default_factory=list)
    targeted: list[Example] = field(default_factory=list)
    control: list[Example] = field(default_factory=list)


def draw_next_rows(
    ws: HasAnswers,
    drawn: DrawnRows,
    issues: Sequence[Issue],
    current: Assessment,
    finding: set[str],
    number: int,
    responses: Mapping[str, PartResponse] | None = None,
) -> str:
    """Add the rows of round ``number`` for these issues, neediest first; or why there are none.

    ``responses`` says, by issue, what earlier rounds did to it.

    Raises:
        ReviewWaitingError: people have to look at the proposals first.
    """
    rejected = list_rejected_rows(ws)
    proposals = select_targeted_rows(
        ws,
        issues,
        current,
        finding,
        [*list_seen_rows(drawn.proposed, "main"), *rejected],
        [*list_seen_rows(drawn.proposed, "control"), *rejected],
        number,
        responses,
    )
    drawn.proposed += proposals
    if not list_accepted_rows(proposals, "main"):
        return "the pool has no more rows for the open issues"
    wait_for_review(ws, proposals, number)
    earlier = len(drawn.targeted)
    drawn.targeted, drawn.control = settle_rows(ws, drawn.proposed, number)
    return "" if len(drawn.targeted) > earlier else "every row that was proposed is rejected"
