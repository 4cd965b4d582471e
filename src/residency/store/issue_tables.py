"""Issues, verdicts, proposals and rounds of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from residency.nouns.content_id import canonical_json
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.store import schema
from residency.store.database import Database
from residency.store.stored_bodies import proposal_body, read_issue, read_proposal

_ARMS = ("zero-shot", "few-shot", "main", "control")


class IssueTables(Database):
    """What was wrong, what was done about it, and what became of it."""

    def add_issues(self, run: str, issues: Sequence[Issue]) -> None:
        """Issues of a run; an issue keeps its first round."""
        self._insert(
            schema.issues,
            [
                {
                    "run": run,
                    "id": i.id,
                    "found_round": i.found_round,
                    "body": canonical_json(dataclasses.asdict(i)),
                }
                for i in issues
            ],
        )

    def issues(self, run: str) -> list[Issue]:
        """Issues of a run, oldest round first."""
        table = schema.issues
        query = select(table.c.body).where(table.c.run == run).order_by(table.c.found_round)
        return [read_issue(body) for body in self._bodies(query)]

    def add_verdicts(self, run: str, verdicts: Sequence[Verdict]) -> None:
        """Verdicts of a run."""
        self._insert(
            schema.verdicts,
            [
                {
                    "run": run,
                    "issue": v.issue,
                    "before": v.before,
                    "after": v.after,
                    "split": v.split,
                    "round": v.round,
                    "status": v.status,
                    "body": canonical_json(dataclasses.asdict(v)),
                }
                for v in verdicts
            ],
        )

    def verdicts(self, run: str) -> list[Verdict]:
        """Verdicts of a run, by round."""
        table = schema.verdicts
        bodies = self._bodies(select(table.c.body).where(table.c.run == run))
        verdicts = [Verdict(**body) for body in bodies]
        return sorted(verdicts, key=lambda v: (v.round, v.split, v.issue))

    def add_proposals(self, run: str, round_: int, proposals: Sequence[Proposal]) -> None:
        """Proposals for the dataset of round ``round_``."""
        self._insert(
            schema.proposals,
            [
                {
                    "run": run,
                    "round": round_,
                    "id": p.id,
                    "issue": p.issue,
                    "example": p.example.id,
                    "arm": p.arm,
                    "body": canonical_json(proposal_body(p)),
                }
                for p in proposals
            ],
        )

    def proposals(self, run: str, round_: int | None = None) -> list[Proposal]:
        """Proposals of a run, or of one round; those of the control arm last."""
        table = schema.proposals
        query = select(table.c.body).where(table.c.run == run)
        if round_ is not None:
            query = query.where(table.c.round == round_)
        proposals = [read_proposal(body) for body in self._bodies(query)]
        return sorted(proposals, key=lambda p: (p.arm != "main", p.issue, -p.score, p.id))

    def add_round(self, run: str, round_: Round, figures: Mapping[str, Any]) -> None:
        """A round with its figures: label and scores."""
        body = {**dataclasses.asdict(round_), "figures": figures}
        self._insert(
            schema.rounds,
            [
                {
                    "run": run,
                    "number": round_.index,
                    "arm": round_.arm,
                    "model": round_.model,
                    "body": canonical_json(body),
                }
            ],
        )

    def rounds(self, run: str) -> list[tuple[Round, dict[str, Any]]]:
        """Rounds of a run with their figures, in order (main arm before control)."""
        table = schema.rounds
        rounds = []
        for body in self._bodies(select(table.c.body).where(table.c.run == run)):
            figures = body.pop("figures")
            rounds.append((Round(**body), figures))
        order = {arm: number for number, arm in enumerate(_ARMS)}
        return sorted(rounds, key=lambda row: (row[0].index, order.get(row[0].arm, len(order))))
