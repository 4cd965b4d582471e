"""Which proposed rows a round trains: what people decided until then counts, and stays counted.

A decision that comes after a round was trained changes that round no more (it is a fact), and every
later one. One that comes while it is trained begins its training again, so that nothing rejected
is in any model whose round is done.
"""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import UserError
from residency.loop.select_rows import list_accepted_rows, screen_proposals
from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.project.row_decisions import RowDecision, apply_decisions, read_decisions
from residency.project.step_needs import HasRows, HasRun, HasSettings
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName


class ReviewWaitingError(UserError):
    """The run waits for a person to look at proposed rows (``target.review``)."""


def settle_rows(
    ws: HasRows, proposals: Sequence[Proposal], number: int
) -> tuple[list[Example], list[Example]]:
    """Rows that round ``number`` trains beside train, of all proposals so far: targeted, control.

    The control arm never has more rows than the other.
    """
    decided = apply_decisions(proposals, freeze_decisions(ws, number))
    settled = screen_edited(ws, decided)
    targeted = list_accepted_rows(settled, "main")
    return targeted, list_accepted_rows(settled, "control")[: len(targeted)]


def list_seen_rows(proposals: Sequence[Proposal], arm: str) -> list[Example]:
    """Rows of an arm that were offered to people already, whatever they decided: none is drawn again."""
    return [p.example for p in proposals if p.accepted and p.arm == arm]


def list_rejected_rows(ws: HasRows) -> list[Example]:
    """Pool rows that a person rejected, in this run or an earlier one: none is drawn, by any arm."""
    rejected = {d.example for d in read_decisions(ws.store).values() if d.decision == "reject"}
    return [row for row in ws.split("pool") if row.id in rejected] if rejected else []


def decide_proposals(ws: HasRows, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Proposals as people have decided by now; edited rows are held against dev and test again."""
    return screen_edited(ws, apply_decisions(proposals, read_decisions(ws.store)))


def screen_edited(ws: HasRows, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Rows that a person edited, through the firewall; the others as they are."""
    edited = [p for p in proposals if p.origin == "person" and p.accepted]
    screened = {p.id: p for p in screen_proposals(ws, edited)} if edited else {}
    return [screened.get(p.id, p) for p in proposals]


def freeze_decisions(ws: HasRun, number: int) -> dict[str, RowDecision]:
    """Decisions that count for a round: those until it was trained."""
    key = StageKey.of_round(StageName.ROWS, number)
    stored = ws.store.stage(ws.run_id, key)
    if any(round_.index == number for round_, _ in ws.store.rounds(ws.run_id)):
        rows = stored["decisions"] if stored else []
        return {row["example"]: RowDecision.from_dict(row) for row in rows}
    decisions = read_decisions(ws.store)
    body = {"decisions": [decision.to_dict() for decision in decisions.values()]}
    if stored != body:
        with ws.store.writer("run"):
            if stored is not None:
                ws.store.reopen_stage(ws.run_id, key)
            ws.store.finish_stage(ws.run_id, key, 0.0, body)
    return decisions


def wait_for_review(ws: HasSettings, proposals: Sequence[Proposal], number: int) -> None:
    """With ``target.review``, end here until a person said that the rows of a round are looked at.

    Raises:
        ReviewWaitingError: nobody did yet.
    """
    if not ws.config.target.review or not list_accepted_rows(proposals, "main"):
        return
    if any(round_.index == number for round_, _ in ws.store.rounds(ws.run_id)):
        return
    reviewed = ws.store.records(RecordKind.ROWS_REVIEWED, ws.run_id)
    if any(record["round"] == number for record in reviewed):
        return
    raise ReviewWaitingError(
        f"the rows of round {number} wait for you: accept, reject or edit them",
        where="target.review",
        next_step="residency web, or residency rows; then residency rows --reviewed, and run again",
    )
