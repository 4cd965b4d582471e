"""ChatGPT's own export of conversations (``chatgpt-export``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError
from residency.data.reading.conversations import read_messages
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields

_HIDDEN = ("thoughts", "reasoning_recap", "model_editable_context", "user_editable_context")
"""Kinds of content that the person never saw as an answer."""
OTHER_BRANCHES = "answers that were asked for again or edited were left out"


class ChatGPTExportLayout(Layout):
    """A tree of messages under ``mapping``; the branch that ends at ``current_node`` is read."""

    name = "chatgpt-export"
    needs = ("mapping",)
    may = ("current_node",)
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "mapping": ("mapping",),
        "current_node": ("current_node",),
    }
    about = "`conversations.json` of ChatGPT's data export: the last branch of each conversation"

    def fits_row(self, row: RowFields) -> bool:
        """Nodes by their names, each with its parent."""
        nodes = row.value("mapping")
        return (
            isinstance(nodes, Mapping)
            and bool(nodes)
            and all(isinstance(node, Mapping) and "parent" in node for node in nodes.values())
        )

    def read_row(self, row: RowFields) -> LayoutRow:
        """The turns from the root to the current node."""
        nodes, column = row.value("mapping"), row.column("mapping")
        if not isinstance(nodes, Mapping) or not nodes:
            raise RowError("a tree of messages is expected", column)
        at = row.value("current_node") or list(nodes)[-1]
        path: list[Mapping[str, Any]] = []
        while isinstance(node := nodes.get(at), Mapping) and len(path) <= len(nodes):
            path.append(node)
            at = node.get("parent")
        turns = [turn for node in reversed(path) if (turn := _read_node(node))]
        if not turns:
            raise RowError("no message in the conversation", column)
        split = any(len(node.get("children") or ()) > 1 for node in path)
        return LayoutRow(read_messages(turns, column), left_out=(OTHER_BRANCHES,) if split else ())


def _read_node(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A node's message as a turn; None where it shows nothing."""
    message = node.get("message")
    if not isinstance(message, Mapping):
        return None
    author, content = message.get("author"), message.get("content")
    if not isinstance(author, Mapping) or not isinstance(content, Mapping):
        return None
    if content.get("content_type") in _HIDDEN:
        return None
    parts = content.get("parts")
    if not isinstance(parts, list):
        parts = [content.get("text") or ""]
    if not any(parts):
        return None
    return {"role": author.get("role"), "content": list(parts)}
