"""Rows that issues drew, with the last decision of each: pages and counts by the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from residency.nouns.proposal import Proposal
from residency.store import schema
from residency.store.item_pages import ItemPages
from residency.store.record_kind import RecordKind
from residency.store.stored_bodies import read_proposal

STATES = ("undecided", "accepted", "edited", "rejected", "firewall")


@dataclass(frozen=True)
class ProposalFilter:
    """Which rows: of a run's main arm; of an issue, a round, in a state, or this one (example id)."""

    run: str
    issue: str = ""
    round: int = 0
    state: str = ""
    example: str = ""


@dataclass(frozen=True)
class RowSource:
    """So many rows that an issue drew for a round's arm from one origin, past the firewall."""

    round: int
    arm: str
    issue: str
    origin: str
    selector: str
    rows: int


class DrawnPages(ItemPages):
    """Proposed rows as people review them."""

    def drawn_page(
        self, proposal_filter: ProposalFilter, *, offset: int = 0, limit: int | None = 10
    ) -> list[tuple[int, Proposal, dict[str, Any] | None]]:
        """Round, row and last decision (as it stands in the log), the latest round and what nobody
        decided of first."""
        table, log, state, query = self._drawn(proposal_filter)
        score = cast(self._json_text(table.c.body, "score"), Float)
        page = (
            query.with_only_columns(table.c.round, table.c.body, log.c.at, log.c.body)
            .order_by(
                table.c.round.desc(),
                case((state == 0, 0), else_=1),
                table.c.issue,
                score.desc(),
                table.c.id,
            )
            .offset(offset)
            .limit(limit)
        )
        with self._read() as connection:
            return [
                (
                    int(round_),
                    read_proposal(json.loads(body)),
                    {"at": at, **json.loads(decision)} if decision else None,
                )
                for round_, body, at, decision in connection.execute(page)
            ]

    def count_drawn_states(self, proposal_filter: ProposalFilter) -> dict[str, int]:
        """How many rows stand in which state."""
        _, _, state, query = self._drawn(proposal_filter)
        counted = query.with_only_columns(state, func.count()).group_by(state)
        with self._read() as connection:
            counts = {int(number): int(n) for number, n in connection.execute(counted)}
        return {name: counts[n] for n, name in enumerate(STATES) if n in counts}

    def count_drawn(self, run: str) -> dict[str, int]:
        """Rows of the main arm that passed the firewall, by issue."""
        table = schema.proposals
        query = select(table.c.issue, func.count()).where(
            table.c.run == run, table.c.arm == "main", self._is_accepted(table)
        )
        with self._read() as connection:
            return {str(i): int(n) for i, n in connection.execute(query.group_by(table.c.issue))}

    def count_drawn_examples(self, run: str) -> int:
        """Different rows of the main arm that passed the firewall."""
        table = schema.proposals
        query = select(func.count(table.c.example.distinct())).where(
            table.c.run == run, table.c.arm == "main", self._is_accepted(table)
        )
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def count_row_sources(self, run: str) -> list[RowSource]:
        """Rows of every arm that passed the firewall, by round, arm, issue and origin."""
        table = schema.proposals
        columns: tuple[ColumnElement[Any], ...] = (
            table.c.round,
            table.c.arm,
            table.c.issue,
            self._json_text(table.c.body, "origin"),
            self._json_text(table.c.body, "selector"),
        )
        query: Select[Any] = (
            select(*columns, func.count())
            .where(table.c.run == run, self._is_accepted(table))
            .group_by(*columns)
            .order_by(*columns)
        )
        with self._read() as connection:
            return [RowSource(*row) for row in connection.execute(query).tuples()]

    def refused_rows(self, run: str, limit: int) -> tuple[list[Proposal], int]:
        """The first rows that the firewall turned down, by round, and how many there are."""
        table = schema.proposals
        query = select(table.c.body).where(table.c.run == run, ~self._is_accepted(table))
        page = query.order_by(table.c.round, table.c.arm != "main", table.c.issue, table.c.id)
        with self._read() as connection:
            bodies = connection.execute(page.limit(limit)).scalars().all()
            total = connection.execute(select(func.count()).select_from(query.subquery())).scalar()
        return [read_proposal(json.loads(body)) for body in bodies], int(total or 0)

    def _is_accepted(self, table: Any) -> ColumnElement[bool]:
        # JSON's true is 1 for SQLite and the word for PostgreSQL
        accepted = self._json_text(table.c.body, "accepted")
        return accepted == ("true" if self.is_shared else 1)

    def _drawn(
        self, proposal_filter: ProposalFilter
    ) -> tuple[Any, Any, ColumnElement[Any], Select[Any]]:
        table, log = schema.proposals.alias("p"), schema.records.alias("d")
        newest = (
            select(schema.records.c.key, func.max(schema.records.c.id).label("id"))
            .where(schema.records.c.kind == RecordKind.ROW_DECISION.value)
            .group_by(schema.records.c.key)
            .subquery("newest")
        )
        word = self._json_text(log.c.body, "decision")
        state = case(
            (~self._is_accepted(table), 4),
            (log.c.id.is_(None), 0),
            (word == "accept", 1),
            (word == "edit", 2),
            else_=3,
        )
        fits = and_(table.c.run == proposal_filter.run, table.c.arm == "main")
        if proposal_filter.issue:
            fits = and_(fits, table.c.issue == proposal_filter.issue)
        if proposal_filter.round:
            fits = and_(fits, table.c.round == proposal_filter.round)
        if proposal_filter.example:
            fits = and_(fits, table.c.example == proposal_filter.example)
        if proposal_filter.state:
            fits = and_(
                fits, or_(*[state == n for n, s in enumerate(STATES) if s == proposal_filter.state])
            )
        source = table.outerjoin(newest, newest.c.key == table.c.example).outerjoin(
            log, log.c.id == newest.c.id
        )
        return table, log, state, select(table.c.id).select_from(source).where(fits)
