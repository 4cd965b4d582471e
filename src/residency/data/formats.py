"""Records → examples: which layout the rows have, and how each is read.

A layout is found by the fields that the rows hold; ``columns`` in ``residency.toml`` names the
user's own. What cannot be trained on honestly (an image that is missing, a row labelled as a
bad answer) is refused with the field and the reason, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from residency.data.conversations import RowError, clean_text, join_parts, read_messages
from residency.errors import DataError
from residency.types import Message

Layout = Literal["alpaca", "prompt", "question", "messages", "sharegpt", "preference", "text"]
LAYOUTS: tuple[Layout, ...] = (
    "preference",
    "messages",
    "sharegpt",
    "alpaca",
    "prompt",
    "question",
    "text",
)
"""In the order in which they are tried: a preference row may also hold a question."""

RESPONSE_FIELDS = ("response", "output", "completion", "answer", "target")
FIELDS: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "response": RESPONSE_FIELDS,
    "prompt": ("prompt",),
    "question": ("question", "query"),
    "messages": ("messages",),
    "conversations": ("conversations", "conversation"),
    "chosen": ("chosen", "chosen_messages", "chosen_response"),
    "rejected": ("rejected", "rejected_messages", "rejected_response"),
    "text": ("text", "content"),
    "system": ("system", "system_prompt"),
    "history": ("history",),
    "tags": ("tags",),
    "group": ("group",),
    "weight": ("weight",),
    "label": ("label",),
}
"""Our name of a field → the names under which it is found when ``columns`` names none."""


@dataclass(frozen=True)
class Mapped:
    """A row as messages, with what else it says."""

    messages: tuple[Message, ...]
    rejected: str | None = None
    tags: tuple[str, ...] = ()
    group: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class RowMapping:
    """How the rows of a file are read: a layout, and the column that stands for each field."""

    layout: Layout
    columns: Mapping[str, str]

    def __str__(self) -> str:
        shown = (
            ours if ours == theirs else f"{ours} ← {theirs}"
            for ours, theirs in self.columns.items()
        )
        return f"{self.layout} ({', '.join(shown)})"


def find_mapping(
    rows: Sequence[Mapping[str, Any]],
    *,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    where: str = "",
) -> RowMapping:
    """The layout that fits most of ``rows``, and its columns.

    Raises:
        DataError: no layout fits; a named layout or column does not exist.
    """
    named = dict(columns or {})
    _check_names(rows, named, layout, where)
    best: tuple[int, RowMapping] | None = None
    for candidate in LAYOUTS if layout == "auto" else (layout,):
        found = _columns(rows, candidate, named)  # type: ignore[arg-type]
        if found is None:
            continue
        fits = sum(_fits(row, candidate, found) for row in rows)  # type: ignore[arg-type]
        if fits and (best is None or fits > best[0]):
            best = fits, RowMapping(candidate, found)  # type: ignore[arg-type]
    if best is None:
        present = sorted({str(key) for row in rows for key in row})[:12]
        wanted = f"the layout {layout!r}" if layout != "auto" else "any known layout"
        raise DataError(
            f"the fields {', '.join(present)} do not make {wanted}",
            where=where,
            next_step="name your columns in residency.toml, e.g. "
            '[data] columns = {instruction = "question_text", response = "reply"}',
        )
    return best[1]


def _check_names(
    rows: Sequence[Mapping[str, Any]], named: Mapping[str, str], layout: str, where: str
) -> None:
    if layout != "auto" and layout not in LAYOUTS:
        raise DataError(
            f"unknown format {layout!r}",
            where="residency.toml [data] format",
            next_step=f"use auto or one of {', '.join(LAYOUTS)}",
        )
    for ours, theirs in named.items():
        if ours not in FIELDS:
            raise DataError(
                f"unknown field {ours!r}",
                where="residency.toml [data] columns",
                next_step=f"known fields: {', '.join(FIELDS)}",
            )
        if rows and not any(theirs in row for row in rows):
            present = sorted({str(key) for row in rows for key in row})[:12]
            raise DataError(
                f"no column {theirs!r} (for {ours}); the file has {', '.join(present)}",
                where=where,
                next_step="correct [data] columns in residency.toml",
            )


_NEEDS: dict[Layout, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # layout: fields that every row must hold, fields that it may hold
    "preference": (
        ("chosen", "rejected"),
        ("prompt", "question", "instruction", "input", "messages", "conversations", "system"),
    ),
    "messages": (("messages",), ("system", "label")),
    "sharegpt": (("conversations",), ("system", "label")),
    "alpaca": (("instruction",), ("input", "response", "system", "history")),
    "prompt": (("prompt",), ("response", "system")),
    "question": (("question",), ("input", "response", "system")),
    "text": (("text",), ("response", "system")),
}
_ALWAYS = ("tags", "group", "weight")


def _columns(
    rows: Sequence[Mapping[str, Any]], layout: Layout, named: Mapping[str, str]
) -> dict[str, str] | None:
    needs, may = _NEEDS[layout]
    present = {key for row in rows for key in row}
    found: dict[str, str] = {}
    for field in (*needs, *may, *_ALWAYS):
        column = named.get(field) or next((c for c in FIELDS[field] if c in present), None)
        if column is not None and column not in found.values():
            found[field] = column
    if not all(field in found for field in needs):
        return None
    # A text column is raw text unless the user names a response for it.
    if layout == "text" and "response" in found and "response" not in named:
        del found["response"]
    return found


def _fits(row: Mapping[str, Any], layout: Layout, columns: Mapping[str, str]) -> bool:
    for field in _NEEDS[layout][0]:
        value = row.get(columns[field])
        if value is None:
            return False
        if field in ("messages", "conversations") and not isinstance(value, list | str):
            return False
        if field in ("text", "instruction", "prompt", "question") and not isinstance(value, str):
            return False
    return True


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
    return Mapped(
        messages,
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
    if value is None or value == "":
        if need:
            raise RowError("the field is missing or empty", column or field)
        return ""
    if isinstance(value, list) and all(isinstance(v, Mapping) for v in value):
        value = join_parts(value, column or field)
    if isinstance(value, dict | list):
        raise RowError(f"text is expected, found {type(value).__name__}", column or field)
    return clean_text(value if isinstance(value, str) else str(value), column or field)


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
        raise RowError("instruction and input are both empty", columns["instruction"])
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
