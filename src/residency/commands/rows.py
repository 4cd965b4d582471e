"""``residency rows``: rows that issues drew or that were made, and what a person decides of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from residency.errors import DataError, StoreError
from residency.nouns.content_id import id_begins
from residency.nouns.example import SPLITS, Example, Split
from residency.nouns.proposal import Proposal
from residency.overlap.firewall import screen_rows
from residency.project.made_rows import MADE_ORIGINS, list_made_rows
from residency.project.named_issues import find_issue
from residency.project.row_decisions import (
    Decision,
    RowDecision,
    add_decision,
    read_decisions,
)
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count


@dataclass(frozen=True)
class ProposedRow:
    """A row that an issue drew for a round, or a made one, and the last decision of it.

    ``round`` is 0 for made rows: they join train. ``made_from`` is what such a row was made from:
    ``like`` and the id of its seed, a template, or a document.
    """

    round: int
    proposal: Proposal
    decision: RowDecision | None
    made_from: str = ""


def list_rows(store: Store, *, issue: str = "", arm: str = "main") -> list[ProposedRow]:
    """Made rows, then those that the latest run's issues drew; those that nobody decided of first.

    Args:
        issue: only of this one (id or prefix).

    Raises:
        StoreError: nothing was run yet and no row was made, or there is no such issue.
    """
    run = store.latest_run()
    decisions = read_decisions(store)
    made = list_made_rows(store.folder.parent, decisions)
    if run is None and (issue or not made):
        raise StoreError("nothing was run here yet", next_step="residency run")
    wanted = find_issue(store, run, issue).id if issue and run else ""
    rows = [
        ProposedRow(0, row.proposal, row.decision, row.made_from)
        for row in made
        if row.proposal.arm == arm
    ]
    if run is not None:
        rows += [
            ProposedRow(stage.key.round, p, decisions.get(p.example.id))
            for stage in store.stages(run)
            if stage.key.name == "target"
            for p in store.proposals(run, stage.key.round)
            if p.arm == arm
        ]
    return sorted(
        (row for row in rows if wanted in ("", row.proposal.issue)),
        key=lambda r: (r.round > 0, -r.round, not r.proposal.accepted, r.decision is not None),
    )


def check_rows(store: Store, rows: Sequence[str]) -> None:
    """Every row (id or prefix) may be decided of, and is named once.

    Raises:
        StoreError: no such row was proposed. DataError: the firewall turned it down, or two
            decisions are named.
    """
    ids = [_find_proposal(store, row).example.id for row in rows]
    if twice := [row for row, id_ in zip(rows, ids, strict=True) if ids.count(id_) > 1]:
        raise DataError(f"{twice[0]!r} is named twice", next_step="name one decision of each row")


def decide_row(
    ws: Workspace,
    row: str,
    decision: Decision,
    *,
    who: str,
    reason: str = "",
    prompt: str | None = None,
    answer: str | None = None,
) -> RowDecision:
    """Accept, reject or edit a proposed row (id or prefix). A rejected row is trained nowhere.

    What is decided of a made row decides what joins train, so the next run is another one.

    Args:
        prompt, answer: the new texts of an edited row; None keeps what is there.

    Raises:
        StoreError: no such row was proposed. DataError: it comes near dev or test, or nothing of it
            was changed.
    """
    proposal = _find_proposal(ws.store, row)
    edited = None
    if decision == "edit":
        edited = edit_example(proposal.example, prompt, answer)
        _check_firewall(ws, edited)
    row_decision = RowDecision(proposal.example.id, decision, reason.strip(), who, edited=edited)
    add_decision(ws.store, row_decision)
    if proposal.origin in MADE_ORIGINS:
        ws.forget_rows()
    return row_decision


def finish_review(ws: Workspace, *, who: str) -> int:
    """Say that all rows are looked at: those of the next round, and, where made rows wait
    (``target.review``), those too, so that they join train. Gives the round, or 0 without one.

    Raises:
        StoreError: no rows wait.
    """
    rows = list_rows(ws.store)
    if not rows:
        raise StoreError("no rows were proposed yet", next_step="residency run")
    waiting = [row for row in rows if not row.round and row.decision is None]
    if ws.config.target.review and waiting:
        for row in waiting:
            decision = RowDecision(row.proposal.example.id, "accept", "all looked at", who)
            add_decision(ws.store, decision)
        ws.forget_rows()
    numbers = [row.round for row in rows if row.round]
    if not numbers:
        return 0
    body = {"round": max(numbers), "who": who}
    ws.store.add_record(RecordKind.ROWS_REVIEWED, ws.latest_run(), body)
    return max(numbers)


def edit_example(example: Example, prompt: str | None, answer: str | None) -> Example:
    """A row with another last request or answer.

    Raises:
        DataError: a text would be empty, or nothing changed.
    """
    messages = list(example.messages)
    last = len(messages) - 1
    has_answer = bool(messages) and messages[-1].role == "assistant"
    if answer is not None and has_answer:
        messages[last] = replace(messages[last], content=_need_text(answer, "answer"))
    request_index = last - 1 if has_answer else last
    if prompt is not None and request_index >= 0:
        request = messages[request_index]
        text = _need_text(prompt, "request")
        messages[request_index] = (
            replace(request, input=text) if request.input else replace(request, content=text)
        )
    edited = replace(example, messages=tuple(messages), why="edited by a person")
    if edited.id == example.id:
        raise DataError("nothing was changed", next_step="accept the row as it is")
    return edited


def _need_text(text: str, what: str) -> str:
    clean = text.replace("\r\n", "\n").strip()
    if not clean:
        raise DataError(f"the {what} is empty", next_step="write one, or reject the row")
    return clean


def _find_proposal(store: Store, row: str) -> Proposal:
    rows = [r.proposal for arm in ("main", "control") for r in list_rows(store, arm=arm)]
    fitting = {p.example.id: p for p in reversed(rows) if id_begins(p.example.id, row)}
    if len(fitting) != 1:
        raise StoreError(
            f"{write_count(len(fitting), 'proposed row begins', 'proposed rows begin')} with {row!r}",
            next_step="residency rows lists them",
        )
    proposal = next(iter(fitting.values()))
    if not proposal.accepted:
        raise DataError(
            f"the firewall turned this row down: {proposal.reason}",
            where=proposal.example.id,
            next_step="leave it: what comes near dev or test is never trained",
        )
    return proposal


def _check_firewall(ws: Workspace, edited: Example) -> None:
    run = ws.store.latest_run()
    splits: Mapping[Split, Sequence[Example]] = {
        split: ws.store.corpus(run, split) if run else ws.split(split) for split in SPLITS
    }
    protected = [*splits["dev"], *splits["test"]]
    background = [*splits["train"], *splits["pool"]]
    near = ws.config.data.near_duplicate
    result = screen_rows([edited], protected, background=background, near_duplicate=near)
    if result.rejected:
        raise DataError(
            f"edited so, the row may not be trained: {result.rejected[0].reason}",
            next_step="write it in other words",
        )
