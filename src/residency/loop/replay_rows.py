"""Replay: a share of every training's rows is general, against forgetting.

How much is kept by how much replay hangs on base, task and rows; ``rounds.guard`` measures it
(``forgetting_guard``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from residency.loop.encode_rows import encode_examples
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.step_needs import HasBase, HasRows
from residency.text.counts import write_count

_BLOCK = 256
"""General rows that are encoded at a time to see which fit; the same blocks each time, so that they are cached."""


def mix_replay(ws: HasBase, rows: Sequence[Example]) -> list[Example]:
    """These rows, and behind them the general ones that are ``train.replay`` of all.

    Every training of so many rows gets the same general ones: arms differ in nothing else. General
    rows that would be dropped as too long are passed over, so that the share is what was asked for.
    """
    general = _take_fitting(ws, count_replay(ws, len(rows)))
    return [*rows, *(replace(row, split="train", why="replay") for row in general)]


def count_replay(ws: HasRows, rows: int) -> int:
    """General rows that join so many rows of the task: no more than there are."""
    share = ws.config.train.replay
    return min(len(ws.general_rows.rows), round(rows * share / (1 - share)))


def write_replay_notes(ws: HasBase) -> list[str]:
    """What a reader should know of the general rows: those left out, and where they are too few."""
    if not ws.config.data.replay:
        return []
    share, train = ws.config.train.replay, ws.split("train")
    wanted = round(len(train) * share / (1 - share))
    joining = len(mix_replay(ws, train)) - len(train)
    notes = ws.general_rows.write_notes()
    if joining < wanted:
        rows = write_count(joining, "general row joins", "general rows join")
        notes.append(
            f"{rows} the first training, of the {wanted} that train.replay = {share:g} asks for: no more are "
            "there that fit into model.max_length"
        )
    return notes


def count_trained_replay(ws: HasRows, model: Model) -> int:
    """General rows that a model was trained on."""
    if model.dataset is None:
        return 0
    general = {row.id for row in ws.general_rows.rows}
    return sum(row in general for row in ws.store.dataset(model.dataset).rows)


def _take_fitting(ws: HasBase, count: int) -> list[Example]:
    """The first ``count`` general rows of which something is left to train on."""
    general = ws.general_rows.rows
    taken: list[Example] = []
    for start in range(0, len(general), _BLOCK):
        if len(taken) >= count:
            break
        block = general[start : start + _BLOCK]
        dropped = set(encode_examples(ws, block).dropped_ids)
        taken += [row for row in block if row.id not in dropped]
    return taken[:count]
