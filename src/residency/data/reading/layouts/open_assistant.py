"""OpenAssistant's files: trees of replies (``open-assistant``), or one message a record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text, is_missing
from residency.data.reading.conversations import read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.files.record import Record
from residency.nouns.example import Message

OTHER_PATHS = "other replies of the tree than the best-ranked were left out"
_DEPTH = 500
"""Turns of a conversation; a tree that is deeper is broken."""


class OpenAssistantLayout(Layout):
    """Conversation trees; of each the path of the best-ranked replies is read.

    Files of single messages are joined to trees first, in whatever order they stand; they are held
    in memory until the file's end.
    """

    name = "open-assistant"
    about = "OpenAssistant's trees or messages: the path of the best-ranked replies in each tree"

    def fits_row(self, row: RowFields) -> bool:
        """A tree (``prompt`` with ``replies``), or a message of one."""
        values = row.values
        prompt = values.get("prompt")
        if isinstance(prompt, Mapping):
            return "text" in prompt and "role" in prompt
        return {"message_id", "parent_id", "text", "role"} <= values.keys()

    def join_records(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records of single messages, joined to trees; trees as they are."""
        trees: dict[str, list[Record]] = {}
        for record in records:
            values = record.values or {}
            tree = values.get("message_tree_id")
            if "message_id" not in values or is_missing(tree):
                yield record
            else:
                trees.setdefault(str(tree), []).append(record)
        yield from map(_join_tree, trees.values())

    def read_row(self, row: RowFields) -> LayoutRow:
        """The first prompt, then the best reply of each turn."""
        turns: list[Message] = []
        others = False
        node = row.values.get("prompt")
        while isinstance(node, Mapping):
            turns += _read_node(node, len(turns))
            if len(turns) > _DEPTH:
                raise RowError(f"more than {_DEPTH} turns", "prompt")
            replies = _living_replies(node.get("replies"))
            others = others or len(replies) > 1
            node = _best_reply(replies)
        if not turns:
            raise RowError("no conversation tree", "prompt")
        return LayoutRow(tuple(turns), left_out=(OTHER_PATHS,) if others else ())


def _read_node(node: Mapping[str, Any], number: int) -> tuple[Message, ...]:
    message = {"role": node.get("role"), "content": node.get("text")}
    return tuple(
        Message(m.role, clean_text(m.content, "text"))
        for m in read_messages([message], f"turn {number + 1}")
    )


def _living_replies(replies: Any) -> list[Mapping[str, Any]]:
    """Replies that were not deleted."""
    if not isinstance(replies, list):
        return []
    return [r for r in replies if isinstance(r, Mapping) and not _is_true(r.get("deleted"))]


def _is_true(value: Any) -> bool:
    """Tables hold the words of a truth value."""
    return value is True or str(value).lower() == "true"


def _best_reply(replies: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The reply of the lowest rank; those without a rank come last."""
    ranks = [_read_rank(reply.get("rank")) for reply in replies]
    return replies[min(range(len(replies)), key=lambda n: (ranks[n], n))] if replies else None


def _read_rank(value: Any) -> float:
    """The rank as a number, also where a table holds it as text; without one: infinity."""
    try:
        rank = float(value)
    except (TypeError, ValueError):
        return math.inf
    return math.inf if math.isnan(rank) else rank


def _join_tree(records: list[Record]) -> Record:
    """One tree of the messages of one tree."""
    nodes = {
        str((r.values or {}).get("message_id")): {**(r.values or {}), "replies": []}
        for r in records
    }
    root: dict[str, Any] | None = None
    for node in nodes.values():
        parent = nodes.get(str(node.get("parent_id")))
        if parent is not None and parent is not node:
            parent["replies"].append(node)
        elif root is None and is_missing(node.get("parent_id")):
            root = node
    if root is None:
        return Record(
            records[0].line, None, "the tree's first message is not in the file", "parent_id"
        )
    return Record(records[0].line, {"prompt": root})
