"""Rows that issues drew, counted by the database as they are counted in memory."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from residency.nouns.example import Example, Message
from residency.nouns.proposal import Proposal
from residency.store.store import Store

RUN = "run-1"


def draw_rows(rng: random.Random, round_: int) -> list[Proposal]:
    """Rows of two issues and both arms, some of them turned down."""
    rows = []
    for number in range(60):
        accepted = rng.random() < 0.7
        rows.append(
            Proposal(
                rng.choice(("is-a", "is-b")),
                Example((Message("user", f"{round_} {number}"), Message("assistant", "a"))),
                rng.choice(("pool", "teacher")),
                rng.choice(("embedding", "loss")),
                rng.random(),
                arm=rng.choice(("main", "control")),
                accepted=accepted,
                reason="" if accepted else "near a dev item",
            )
        )
    return rows


def test_sources_and_refusals_are_those_of_all_rows(tmp_path: Path) -> None:
    rng = random.Random(3)
    store = Store(tmp_path)
    rounds = {number: draw_rows(rng, number) for number in (1, 2)}
    with store.writer("test"):
        store.add_run(RUN, {})
        store.add_run("another run", {})
        for number, rows in rounds.items():
            store.add_proposals(RUN, number, rows)
            store.add_proposals("another run", number, rows)
    counted = Counter(
        (number, row.arm, row.issue, row.origin, row.selector)
        for number, rows in rounds.items()
        for row in rows
        if row.accepted
    )
    sources = store.count_row_sources(RUN)
    assert {(s.round, s.arm, s.issue, s.origin, s.selector): s.rows for s in sources} == counted
    refused = {row.id for rows in rounds.values() for row in rows if not row.accepted}
    shown, total = store.refused_rows(RUN, 10)
    assert (len(shown), total) == (10, len(refused))
    every, _ = store.refused_rows(RUN, 1000)
    assert {row.id for row in every} == refused
    assert all(row.reason == "near a dev item" for row in every)
