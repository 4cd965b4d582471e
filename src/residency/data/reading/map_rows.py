"""Records → messages, by the layout of their source.

What cannot be trained on honestly (an image that is missing, a row labelled as a
bad answer) is refused with the field and the reason, never guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from residency.data.reading.conversations import (
    RowError,
    clean_text,
    join_parts,
    read_messages,
    read_tools,
    with_tools,
)
from residency.data.reading.find_layout import Layout, RowMapping
from residency.nouns.example import Message


@dataclass(frozen=True)
class Mapped:
    """A row as messages, with what else it says."""

    messages: tuple[Message, ...]
    rejected: str | None = None
    tags: tuple[str, ...] = ()
    group: str = ""
    weight: float = 1.0


def map_row(row: Mapping[str, Any], mapping: RowMapping, *, instruction: str = "") -> Mapped:
    """One record as messages.

    Args:
        instruction: put before a row of raw text or of input alone that has none of its own.

    Raises:
        RowError: the row cannot be used; the reason names the field.
    """
    columns = mapping.columns
    for field in ("images", "image", "videos", "audios"):
        if row.get(field):
            raise RowError("the row needs more than text", field)
    label = row.get(columns.get("label", ""), True)
    if label is False or label == 0:
        raise RowError("the row is labelled as a bad answer", columns["label"])
    messages, rejected = _READERS[mapping.layout](row, columns, instruction)
    system = _text(row, columns, "system")
    if system and not (messages and messages[0].role == "system"):
        messages = (Message("system", system), *messages)
    tools = read_tools(row.get(columns.get("tools", "")), columns.get("tools", ""))
    return Mapped(
        with_tools(messages, tools),
        rejected,
        _tags(row.get(columns.get("tags", ""))),
        str(row.get(columns.get("group", "")) or ""),
        _weight(row, columns),
    )


def _text(
    row: Mapping[str, Any], columns: Mapping[str, str], field: str, *, need: bool = False
) -> str:
    column = columns.get(field)
    value = None if column is None else row.get(column)
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        if need:
            raise RowError(_missing(row, column), column or field)
        return ""
    if isinstance(value, list) and all(isinstance(v, Mapping) for v in value):
        value = join_parts(value, column or field)
    if isinstance(value, dict | list):
        raise RowError(f"text is expected, found {type(value).__name__}", column or field)
    return clean_text(value if isinstance(value, str) else str(value), column or field)


def _missing(row: Mapping[str, Any], column: str | None) -> str:
    """Why there is no text: the field is empty, or the row is of another layout than the rest."""
    if column in row or not row:
        return "the field is empty"
    return f"the row has no such field, only {', '.join(map(str, list(row)[:6]))}"


def _weight(row: Mapping[str, Any], columns: Mapping[str, str]) -> float:
    value = row.get(columns.get("weight", ""))
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError):
        raise RowError(f"a number is expected, found {value!r}", columns["weight"]) from None
    if not 0 < weight < 1e6:
        raise RowError(f"a weight above 0 is expected, found {value!r}", columns["weight"])
    return weight


def _tags(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        if value.startswith("["):
            try:
                value = json.loads(value)
            except ValueError:
                value = [value]
        else:
            value = value.replace(";", ",").split(",")
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(dict.fromkeys(str(item).strip() for item in items if str(item).strip()))


_Read = tuple[tuple[Message, ...], str | None]


def _answer(row: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[Message, ...]:
    text = _text(row, columns, "response")
    return (Message("assistant", text),) if text.strip() else ()


def _alpaca(row: Mapping[str, Any], columns: Mapping[str, str], instruction: str) -> _Read:
    content = _text(row, columns, "instruction") or instruction
    extra = _text(row, columns, "input")
    if not content.strip() and not extra.strip():
        known = columns["instruction"] in row
        raise RowError(
            "instruction and input are both empty"
            if known
            else _missing(row, columns["instruction"]),
            columns["instruction"],
        )
    if not content.strip():
        content, extra = extra, ""
    turns: list[Message] = []
    history = row.get(columns.get("history", "")) or []
    if not isinstance(history, list):
        raise RowError("a list of [question, answer] pairs is expected", "history")
    for pair in history:
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError("a list of [question, answer] pairs is expected", "history")
        turns += [
            Message("user", clean_text(str(pair[0]), "history")),
            Message("assistant", clean_text(str(pair[1]), "history")),
        ]
    answer = _answer(row, columns)
    if not answer and "instances" in row:
        extra, answer = _instance(row["instances"])
    return (*turns, Message("user", content, input=extra), *answer), None


def _instance(value: Any) -> tuple[str, tuple[Message, ...]]:
    """Input and answer of a self-instruct row, which lists them; only single ones are read."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], Mapping):
        raise RowError("one instance with input and output is expected", "instances")
    answer = clean_text(str(value[0].get("output") or ""), "instances[0].output")
    extra = clean_text(str(value[0].get("input") or ""), "instances[0].input")
    return extra, (Message("assistant", answer),) if answer.strip() else ()


def _single(field: str) -> Callable[[Mapping[str, Any], Mapping[str, str], str], _Read]:
    def read(row: Mapping[str, Any], columns: Mapping[str, str], instruction: str) -> _Read:
        content = _text(row, columns, field, need=True)
        extra = _text(row, columns, "input")
        if instruction:
            content, extra = instruction, f"{content}\n\n{extra}" if extra else content
        return (Message("user", content, input=extra), *_answer(row, columns)), None

    return read


def _raw_text(row: Mapping[str, Any], columns: Mapping[str, str], instruction: str) -> _Read:
    text = _text(row, columns, "text", need=True)
    if not text.strip():
        raise RowError("the text is empty", columns["text"])
    answer = _answer(row, columns)
    if answer or instruction:
        user = Message("user", instruction, input=text) if instruction else Message("user", text)
        return (user, *answer), None
    return (Message("assistant", text),), None


def _conversation(field: str) -> Callable[[Mapping[str, Any], Mapping[str, str], str], _Read]:
    def read(row: Mapping[str, Any], columns: Mapping[str, str], instruction: str) -> _Read:
        messages = read_messages(row.get(columns[field]), columns[field])
        if instruction and messages[0].role != "system":
            messages = (Message("system", instruction), *messages)
        return messages, None

    return read


def _preference(row: Mapping[str, Any], columns: Mapping[str, str], instruction: str) -> _Read:
    prompt: tuple[Message, ...] = ()
    for field in ("messages", "conversations"):
        if field in columns and row.get(columns[field]):
            prompt = read_messages(row[columns[field]], columns[field])
            break
    else:
        for field in ("instruction", "prompt", "question"):
            value = row.get(columns.get(field, ""))
            if isinstance(value, list) and value:
                prompt = read_messages(value, columns[field])
                break
            if _text(row, columns, field):
                prompt = _single(field)(row, columns, instruction)[0][:1]
                break
    chosen = _side(row.get(columns["chosen"]), columns["chosen"])
    rejected = _side(row.get(columns["rejected"]), columns["rejected"])
    if len(chosen) > 1 or len(rejected) > 1:  # whole conversations on both sides
        if chosen[:-1] != rejected[:-1]:
            raise RowError("chosen and rejected answer different prompts", columns["rejected"])
        if not prompt or len(chosen) > len(prompt):
            prompt = chosen[:-1]
    if not prompt:
        raise RowError("no prompt for the two answers", columns["chosen"])
    if chosen[-1].content == rejected[-1].content:
        raise RowError("chosen and rejected are the same", columns["rejected"])
    return (*prompt, chosen[-1]), rejected[-1].content


def _side(value: Any, field: str) -> tuple[Message, ...]:
    if isinstance(value, str):
        messages: tuple[Message, ...] = (Message("assistant", clean_text(value, field)),)
    else:
        messages = read_messages(value, field)
    if messages[-1].role != "assistant" or not messages[-1].content.strip():
        raise RowError("no assistant answer at the end", field)
    return messages


_READERS: dict[Layout, Callable[[Mapping[str, Any], Mapping[str, str], str], _Read]] = {
    "alpaca": _alpaca,
    "prompt": _single("prompt"),
    "question": _single("question"),
    "messages": _conversation("messages"),
    "sharegpt": _conversation("conversations"),
    "preference": _preference,
    "text": _raw_text,
}
