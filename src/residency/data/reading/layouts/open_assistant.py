"""OpenAssistant's files: trees of replies (``open-assistant``), or one message a record."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from residency.data.reading.clean_text import RowError, clean_text
from residency.data.reading.conversations import read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.files.record import Record
from residency.nouns.example import Message

_DEPTH = 500
"""Turns of a conversation; a tree that is deeper is broken."""


class OpenAssistantLayout(Layout):
    """Conversation trees; of each the path of the best-ranked replies is read.

    Files of single messages are joined to trees first: their records of one tree must stand
    together, as they do in the public files.
    """

    name = "open-assistant"
    about = "OpenAssistant's trees or messages: of each tree the path of the best-ranked replies"

    def fits_row(self, row: RowFields) -> bool:
        """A tree (``prompt`` with ``replies``), or a message of one."""
        values = row.values
        prompt = values.get("prompt")
        if isinstance(prompt, Mapping):
            return "text" in prompt and "role" in prompt
        return {"message_id", "parent_id", "text", "role"} <= values.keys()

    def join_records(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records of single messages, joined to trees; trees as they are."""

        def tree_of(record: Record) -> Any:
            values = record.values or {}
            if "message_id" not in values:
                return ("line", record.line)
            tree = values.get("message_tree_id")
            return ("tree", str(tree)) if tree else ("line", record.line)

        for (kind, _), group in itertools.groupby(records, tree_of):
            if kind == "line":
                yield from group
            else:
                yield _join_tree(list(group))

    def read_row(self, row: RowFields) -> LayoutRow:
        """The first prompt, then the best reply of each turn."""
        turns: list[Message] = []
        node = row.values.get("prompt")
        while isinstance(node, Mapping):
            turns += _read_node(node, len(turns))
            if len(turns) > _DEPTH:
                raise RowError(f"more than {_DEPTH} turns", "prompt")
            node = _best_reply(node.get("replies"))
        if not turns:
            raise RowError("no conversation tree", "prompt")
        return LayoutRow(tuple(turns))


def _read_node(node: Mapping[str, Any], number: int) -> tuple[Message, ...]:
    message = {"role": node.get("role"), "content": node.get("text")}
    return tuple(
        Message(m.role, clean_text(m.content, "text"))
        for m in read_messages([message], f"turn {number + 1}")
    )


def _best_reply(replies: Any) -> Mapping[str, Any] | None:
    """The reply of the lowest rank that was not deleted; those without a rank come last."""
    if not isinstance(replies, list):
        return None
    living = [r for r in replies if isinstance(r, Mapping) and not r.get("deleted")]
    ranks = [r.get("rank") for r in living]
    order = sorted(
        range(len(living)),
        key=lambda n: (not isinstance(ranks[n], int | float), ranks[n] or 0, n),
    )
    return living[order[0]] if order else None


def _join_tree(records: list[Record]) -> Record:
    """One tree of the messages of one tree."""
    nodes: dict[str, dict[str, Any]] = {}
    root: dict[str, Any] | None = None
    for record in records:
        values = record.values or {}
        node = dict(values, replies=[])
        nodes[str(values.get("message_id"))] = node
        parent = nodes.get(str(values.get("parent_id")))
        if parent is not None:
            parent["replies"].append(node)
        elif root is None and not values.get("parent_id"):
            root = node
    if root is None:
        return Record(
            records[0].line, None, "the tree's first message is not in the file", "parent_id"
        )
    return Record(records[0].line, {"prompt": root})
