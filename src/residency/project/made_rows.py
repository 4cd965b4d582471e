"""Rows that a teacher or templates made, as proposals: what people decided of them decides what joins train.

They lie in the file of collected rows, from which nothing is deleted. A rejected one joins train no
more, an edited one joins as edited, and with ``target.review`` one that nobody decided of waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from residency.config.settings import Config
from residency.data.collected_rows import CollectedRows, read_collected
from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.project.row_decisions import RowDecision, read_decisions
from residency.store.store import FOLDER, Store

MADE_ORIGINS = ("teacher", "template")
_WHY = re.compile(r"(?:teacher (?P<name>.*?)|template)(?: for (?P<issue>is-\w+))?", re.DOTALL)


@dataclass(frozen=True)
class MadeRow:
    """A made row and the last decision of it.

    ``made_from`` is what it was made from: ``like`` and a pool row's id, a template, or a document.
    """

    proposal: Proposal
    made_from: str
    decision: RowDecision | None

    @property
    def like(self) -> str:
        """The pool row that it was written like (id); empty for other rows."""
        return self.made_from.removeprefix("like ") if self.made_from.startswith("like ") else ""


def name_issue_of(example: Example) -> str:
    """The issue (id) that a made row was made for; empty for any other row."""
    why = _WHY.fullmatch(example.why.partition(";")[0])
    return (why and why["issue"]) or ""


def list_made_rows(root: Path, decisions: Mapping[str, RowDecision]) -> list[MadeRow]:
    """The made rows of a project's file, in its order."""
    rows = read_collected(root)
    made = []
    for example, origin, provenance in zip(
        rows.examples, rows.origins, rows.provenance, strict=True
    ):
        if origin not in MADE_ORIGINS:
            continue
        made_from = str(provenance.get("source") or "")
        why = _WHY.fullmatch(str(provenance["why"]))
        proposal = Proposal(
            issue=(why and why["issue"]) or "",
            example=example,
            origin=origin,
            selector=(why and why["name"]) or made_from,
            score=0.0,
            near=str(provenance.get("near") or ""),
        )
        made.append(MadeRow(proposal, made_from, decisions.get(example.id)))
    return made


def count_undecided_rows(root: Path, config: Config) -> int:
    """Made rows that nobody decided of, also where nothing was run yet.

    Raises:
        StoreError: the store with the decisions cannot be read.
    """
    made = list_made_rows(root, {})
    if not made:
        return 0
    decisions = _read_stored(root, config)
    return sum(row.proposal.example.id not in decisions for row in made)


def settle_made_rows(
    rows: CollectedRows, decisions: Mapping[str, RowDecision], *, review: bool
) -> CollectedRows:
    """The collected rows that join train: without rejected ones, with edited ones as edited.

    Args:
        review: leave out made rows that nobody decided of (``target.review``).
    """
    examples = list(rows.examples)
    joining: list[int] = []
    rejected = waiting = 0
    for n, (example, origin) in enumerate(zip(rows.examples, rows.origins, strict=True)):
        decision = decisions.get(example.id) if origin in MADE_ORIGINS else None
        if decision is not None and decision.decision == "reject":
            rejected += 1
        elif decision is None and review and origin in MADE_ORIGINS:
            waiting += 1
        else:
            joining.append(n)
            if decision is not None and decision.edited is not None:
                examples[n] = _join_edit(example, decision.edited)
    settled = replace(rows, examples=examples, rejected=rejected, waiting=waiting)
    return settled.take_rows(joining)


def _join_edit(example: Example, edited: Example) -> Example:
    """The edited row, which still says why it is here, and of which line."""
    return replace(
        edited, split="train", source=example.source, why=f"{example.why}; edited by a person"
    )


def read_settled_rows(root: Path, config: Config, store: Store | None = None) -> CollectedRows:
    """The project's collected rows that join train.

    Args:
        store: the opened store; otherwise it is opened where there is one and rows were made.

    Raises:
        StoreError: the store with the decisions cannot be read.
    """
    rows = read_collected(root)
    if not any(origin in MADE_ORIGINS for origin in rows.origins):
        return rows
    decisions = read_decisions(store) if store is not None else _read_stored(root, config)
    return settle_made_rows(rows, decisions, review=config.target.review)


def _read_stored(root: Path, config: Config) -> dict[str, RowDecision]:
    url = config.project.store
    if not url and not (root / FOLDER / "store.db").exists():
        return {}
    store = Store(root, url, create=False)
    try:
        return read_decisions(store)
    finally:
        store.close()
