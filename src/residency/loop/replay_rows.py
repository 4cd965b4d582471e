"""Replay: a share of every training's rows is general, against forgetting.

How much is kept by how much replay hangs on base, task and rows; ``rounds.guard`` measures it
(``forgetting_guard``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from residency.nouns.example import Example
from residency.project.step_needs import HasRows


def mix_replay(ws: HasRows, rows: Sequence[Example]) -> list[Example]:
    """These rows, and behind them the general ones that are ``train.replay`` of all.

    Every training of so many rows gets the same general ones: arms differ in nothing else.
    """
    general = ws.general_rows.rows[: count_replay(ws, len(rows))]
    return [*rows, *(replace(row, split="train", why="replay") for row in general)]


def count_replay(ws: HasRows, rows: int) -> int:
    """General rows that join so many rows of the task: no more than there are."""
    share = ws.config.train.replay
    return min(len(ws.general_rows.rows), round(rows * share / (1 - share)))
