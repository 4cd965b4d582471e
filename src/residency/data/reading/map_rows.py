"""Records → conversations, with what rows of every layout may hold.

What cannot be trained on honestly (an image that is missing, a row labelled as a bad answer) is
refused with the field and the reason, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from residency.data.reading.answer_marks import read_answer_mark
from residency.data.reading.clean_text import RowError, clean_label, clean_text, is_missing
from residency.data.reading.conversations import (
    read_messages,
    trim_empty_turns,
    with_tools,
)
from residency.data.reading.find_layout import RowMapping
from residency.data.reading.layouts.layout import RowFields
from residency.data.reading.learn_marks import check_row_marks
from residency.data.reading.marked_turns import read_marked_system
from residency.data.reading.tool_calls import read_tools
from residency.nouns.example import Message


@dataclass(frozen=True)
class MappedRow:
    """A row as messages, with what else it says.

    ``changes`` names what was left out of the conversation.
    """

    messages: tuple[Message, ...]
    rejected: str | None = None
    tags: tuple[str, ...] = ()
    group: str = ""
    weight: float = 1.0
    changes: tuple[str, ...] = ()


def map_row(
    values: Mapping[str, Any],
    mapping: RowMapping,
    *,
    instruction: str = "",
    split_at: str = "",
    fold_system: bool = False,
    need_answer: bool = True,
) -> MappedRow:
    """One record as messages.

    Args:
        instruction: put before a row that has none. split_at: see ``RowFields``.
        fold_system: write the system message before the first user turn.
        need_answer: leave out what follows the last assistant turn.

    Raises:
        RowError: the row cannot be used; the reason names the field.
    """
    row = RowFields(values, mapping.columns, instruction, split_at)
    for field in ("images", "image", "videos", "audios"):
        if values.get(field):
            raise RowError("the row needs more than text", field)
    label = mapping.columns.get("label")
    if label is not None and read_answer_mark(row.value("label"), label) is False:
        raise RowError("the row is labelled as a bad answer", label)
    if need_answer:  # of training rows; what is kept out of training may well be asked
        check_row_marks(values, tuple(mapping.columns.values()))
    read = mapping.layout.read_row(row)
    messages = _insert_history(read.messages, row)
    system = read_marked_system(row.text("system"))
    messages = _add_system(messages, system, row.column("system"))
    changes = read.left_out
    if len(messages) > 1:
        messages, trimmed = trim_empty_turns(
            messages, need_answer=need_answer and read.rejected is None
        )
        changes += trimmed
    if fold_system:
        messages = _fold_system(messages)
    return MappedRow(
        with_tools(messages, read_tools(row.value("tools"), row.column("tools"))),
        read.rejected,
        _read_tags(row.value("tags")),
        clean_label(str(row.value("group") or "")),
        _read_weight(row),
        changes,
    )


def _add_system(messages: tuple[Message, ...], system: str, field: str) -> tuple[Message, ...]:
    """The conversation after the system message that its row tells apart.

    Raises:
        RowError: the conversation begins with another one.
    """
    if not system:
        return messages
    if not messages or messages[0].role != "system":
        return (Message("system", system), *messages)
    if not messages[0].content.strip():  # definitions of tools alone
        return (replace(messages[0], content=system), *messages[1:])
    if messages[0].content.strip() != system.strip():
        raise RowError("the conversation begins with another system message", field)
    return messages


def _fold_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation with its system message as the beginning of the first user turn.

    One that defines tools stays: a template without a system role cannot show them.
    """
    if len(messages) < 2 or messages[0].role != "system" or messages[0].tools:
        return messages
    if messages[1].role != "user":
        return messages
    user = replace(messages[1], content=f"{messages[0].text}\n\n{messages[1].content}")
    return (user, *messages[2:])


def _insert_history(messages: tuple[Message, ...], row: RowFields) -> tuple[Message, ...]:
    """The conversation with the earlier turns that its row tells apart, after a system message."""
    history = row.value("history")
    if isinstance(history, str):
        try:
            history = json.loads(history) if history.strip() else None
        except (ValueError, RecursionError):
            raise RowError("a list of [question, answer] pairs is expected", "history") from None
    if is_missing(history) or history == []:
        return messages
    if not isinstance(history, list):
        raise RowError("a list of [question, answer] pairs is expected", "history")
    if all(isinstance(turn, Mapping) for turn in history):
        turns = list(read_messages(history, "history"))
    else:
        turns = []
        for pair in history:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise RowError("a list of [question, answer] pairs is expected", "history")
            turns += [
                Message("user", clean_text(str(pair[0]), "history")),
                Message("assistant", clean_text(str(pair[1]), "history")),
            ]
    first = 1 if messages and messages[0].role == "system" else 0
    return (*messages[:first], *turns, *messages[first:])


def _read_weight(row: RowFields) -> float:
    value = row.value("weight")
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        shown = repr(value) if len(repr(value)) < 40 else f"{repr(value)[:40]}…"
        raise RowError(f"a number is expected, found {shown}", row.column("weight")) from None
    if not 0 < weight < 1e6:
        raise RowError(f"a weight above 0 is expected, found {weight:g}", row.column("weight"))
    return weight


def _read_tags(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        if value.startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                value = [value]
        else:
            value = value.replace(";", ",").split(",")
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    items = value if isinstance(value, list | tuple) else [value]
    labels = (clean_label(str(item)) for item in items)
    return tuple(dict.fromkeys(label for label in labels if label))
