"""What people decided of proposed rows: accepted, rejected or edited, with who, when and why.

A decision speaks of a row, whichever issue drew it and for whichever arm: a rejected row is trained
nowhere. The last decision of a row counts; the earlier ones stay in the log. What the firewall turned
down stays turned down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.store.record_kind import RecordKind
from residency.store.store import Store

Decision = Literal["accept", "reject", "edit"]


@dataclass(frozen=True)
class RowDecision:
    """What one person decided of one row; ``edited`` is the row as they would have it."""

    example: str
    decision: Decision
    reason: str = ""
    who: str = ""
    at: str = ""
    edited: Example | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        edited = self.edited.to_dict() if self.edited else None
        return {**vars(self), "edited": edited}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> RowDecision:
        """The inverse of ``to_dict``."""
        edited = Example.from_dict(raw["edited"]) if raw.get("edited") else None
        return RowDecision(**{**raw, "edited": edited})


def add_decision(store: Store, decision: RowDecision) -> None:
    """Append a decision; a run that goes on need not end for it."""
    body = decision.to_dict()
    del body["at"]  # the log has one
    store.add_record(RecordKind.ROW_DECISION, decision.example, body)


def read_decisions(store: Store) -> dict[str, RowDecision]:
    """The last decision of each row, by its id."""
    records = store.records(RecordKind.ROW_DECISION)
    return {record["example"]: RowDecision.from_dict(record) for record in records}


def list_decisions(store: Store, row: str) -> list[RowDecision]:
    """Every decision of one row (id), oldest first."""
    return [RowDecision.from_dict(r) for r in store.records(RecordKind.ROW_DECISION, row)]


def apply_decisions(
    proposals: Sequence[Proposal], decisions: Mapping[str, RowDecision]
) -> list[Proposal]:
    """Proposals as people decided: rejected ones say why, edited ones hold the edited row."""
    return [_decide(proposal, decisions.get(proposal.example.id)) for proposal in proposals]


def _decide(proposal: Proposal, decision: RowDecision | None) -> Proposal:
    if decision is None or not proposal.accepted:
        return proposal
    if decision.decision == "reject":
        reason = f"rejected by {decision.who or 'a person'}"
        reason += f": {decision.reason}" if decision.reason else ""
        return replace(proposal, accepted=False, reason=reason)
    if decision.decision == "edit" and decision.edited is not None:
        return replace(proposal, example=decision.edited, origin="person")
    return proposal
