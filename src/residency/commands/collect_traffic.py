"""The worst of what came back from use, to be answered better by people."""

from __future__ import annotations

from dataclasses import replace

from residency.commands.collect import Item, screen_new_rows
from residency.data.collected_rows import hash_prompt, read_collected
from residency.errors import DataError
from residency.nouns.example import Example, Message
from residency.nouns.traffic_row import TrafficRow
from residency.project.workspace import Workspace


def find_worst_traffic(ws: Workspace, *, rows: int = 100) -> list[Item]:
    """Traffic that people disliked or answered better, then the worst by detectors, then the newest
    kind; without what the firewall refuses (it is near dev or test) and what was answered before.

    A better answer that came with feedback stands where the data's answer stands.

    Raises:
        DataError: there is none.
    """
    done = set(read_collected(ws.root).prompts)
    waiting: dict[str, TrafficRow] = {}
    for row in sorted(ws.store.traffic(), key=rank_row):
        key = hash_prompt(row.example)
        if key not in done and row.thumb != "up":
            waiting.setdefault(key, row)
    items: list[Item] = []
    left = list(waiting.values())
    while left and len(items) < rows:
        some, left = left[: 4 * rows], left[4 * rows :]
        accepted, _ = screen_new_rows(ws, [row.example for row in some])
        allowed = {example.id for example in accepted}
        items += [
            Item(_add_better(row), row.response, row.failures, None)
            for row in some
            if row.example.id in allowed
        ]
    if not items:
        raise DataError(
            "no traffic waits for a better answer",
            where="traffic",
            next_step="bring some in with residency ingest DIR FILE",
        )
    return items[:rows]


def rank_row(row: TrafficRow) -> tuple[bool, bool, float, float]:
    """Sorts the worst first."""
    disliked = row.thumb == "down"
    return not row.better, not disliked, -row.severity, -(row.novelty or 0.0)


def _add_better(row: TrafficRow) -> Example:
    if not row.better:
        return row.example
    return replace(row.example, messages=(*row.example.messages, Message("assistant", row.better)))
