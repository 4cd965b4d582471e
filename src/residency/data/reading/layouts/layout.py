"""What a row layout is, and what it is given to read.

To add one: subclass ``Layout``, and either add it to ``BUILT_IN`` (``known_layouts.py``) or, outside
this package, name the class as an entry point of the group ``residency.layouts`` or call
``residency.plugins.register_plugin("layouts", NAME, CLASS)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from residency.data.reading.answer_marks import LABEL_COLUMNS
from residency.data.reading.clean_text import (
    RowError,
    clean_text,
    describe_type,
    is_missing,
    write_value,
)
from residency.data.reading.column_paths import has_column, list_text_paths, read_column
from residency.data.reading.conversations import join_parts
from residency.data.reading.passages import CONTEXT_COLUMNS, join_passages
from residency.files.record import Record
from residency.nouns.example import Message

RESPONSE_COLUMNS = (
    "response",
    "output",
    "completion",
    "answer",
    "target",
    "reply",
    "solution",
    "ground_truth",
    "expected_output",
    "best_answer",
    "ideal",
    "correct_answer",
    "canonical_solution",
    "generated_solution",
    "output_text",
    "model_output",
    "targets",
    "answers",
)
COLUMNS: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": (
        "input",
        "inputs",
        "input_text",
        "user_input",
        *CONTEXT_COLUMNS,
    ),
    "response": RESPONSE_COLUMNS,
    "prompt": ("prompt",),
    "question": ("question", "query", "problem"),
    "messages": (
        "messages",
        "contents",
        "chat",
        "dialogue",
        "dialog",
        "turns",
        "items",
        "chat_messages",
    ),
    "conversations": ("conversations", "conversation"),
    "chosen": (
        "chosen",
        "chosen_messages",
        "chosen_response",
        "response_chosen",
        "preferred_output",
        "preferred",
        "response_j",
    ),
    "rejected": (
        "rejected",
        "rejected_messages",
        "rejected_response",
        "response_rejected",
        "non_preferred_output",
        "dispreferred",
        "response_k",
    ),
    "text": ("text", "content", "sentence"),
    "system": ("system", "system_prompt", "systeminstruction", "system_instruction"),
    "tools": ("tools", "functions"),
    "history": ("history",),
    "tags": ("tags",),
    "group": ("group",),
    "weight": ("weight",),
    "label": LABEL_COLUMNS,
}
"""Field → the column names under which it is recognised when the user names none, in any case."""

SHARED_FIELDS = ("system", "tools", "history", "tags", "group", "weight", "label")
"""Fields that every layout may hold; they are read by ``map_rows.py`` alone."""


@dataclass(frozen=True)
class RowFields:
    """A row as a layout sees it: by field, whatever its columns are called.

    Attributes:
        values: the row as it stands. columns: field → column.
        instruction: put before a row that has none.
        split_at: the mark that ends the prompt within raw text; empty: none.
    """

    values: Mapping[str, Any]
    columns: Mapping[str, str]
    instruction: str = ""
    split_at: str = ""

    def column(self, field: str) -> str:
        """The column of a field; the field's name where the file has none."""
        return self.columns.get(field, field)

    def value(self, field: str) -> Any:
        """What stands in a field, None where there is none."""
        column = self.columns.get(field)
        return None if column is None else read_column(self.values, column)

    def text(self, field: str) -> str:
        """The text of a field, empty where there is none.

        Raises:
            RowError: it is an object or a list, or text that no tokenizer should see.
        """
        value = self.value(field)
        column = self.column(field)
        if is_missing(value):
            return ""
        if isinstance(value, Mapping) and isinstance(value.get("parts"), list):  # Gemini's
            value = value["parts"]
        if field == "input" and column.strip().lower() in CONTEXT_COLUMNS:
            value = join_passages(value)
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            value = join_parts(value, column)
        if isinstance(value, Mapping | list | tuple | bytes):
            step = "" if isinstance(value, bytes) else "; write it as text, e.g. with json.dumps"
            if isinstance(value, Mapping):
                inner = next(list_text_paths(value, f"{column}."), "")
                step += f", or name the text in it: --column {field}={inner}" if inner else ""
            raise RowError(f"text is expected, found {describe_type(value)}{step}", column)
        return clean_text(write_value(value), column)

    def needed_text(self, field: str) -> str:
        """The text of a field that must hold some.

        Raises:
            RowError: it is empty or missing; otherwise as ``text``.
        """
        text = self.text(field)
        if not text:
            raise RowError(self.describe_missing(field), self.column(field))
        return text

    def describe_missing(self, field: str) -> str:
        """Why a field has no text: it is empty, or the row is of another layout than the rest."""
        if has_column(self.values, self.column(field)) or not self.values:
            return "the field is empty"
        return f"the row has no such field, only {', '.join(map(str, list(self.values)[:6]))}"


@dataclass(frozen=True)
class LayoutRow:
    """A row as a conversation.

    ``rejected`` is the worse answer of a pair; ``left_out`` says in words what else the row holds.
    """

    messages: tuple[Message, ...]
    rejected: str | None = None
    left_out: tuple[str, ...] = ()


class Layout:
    """How the rows of one kind of file become conversations.

    Attributes:
        name: what the user writes under ``[data] format``.
        needs: fields that every row must hold. may: fields that it may hold, beside
            ``SHARED_FIELDS``.
        columns: column names of fields that only this layout has, as in ``COLUMNS``.
        also_reads: columns that ``read_row`` looks into by their names.
        about: what the fields hold, for the documentation.
        asks: its rows hold a prompt, so that rows without an answer are prompts alone.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    may: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    also_reads: ClassVar[tuple[str, ...]] = ()
    about: ClassVar[str] = ""
    asks: ClassVar[bool] = False

    def fits_row(self, row: RowFields) -> bool:
        """Whether a row looks like this layout; by default: no field that it needs is null."""
        return all(row.value(field) is not None for field in self.needs)

    def read_row(self, row: RowFields) -> LayoutRow:
        """The row's conversation, without what ``SHARED_FIELDS`` hold.

        Raises:
            RowError: the row cannot be used.
        """
        raise NotImplementedError

    def join_records(self, records: Iterator[Record]) -> Iterator[Record]:
        """The records as rows; a layout that spreads a conversation over records joins them."""
        return records

    def unread_keys(self, row: RowFields) -> set[str]:
        """Names of what stands within the row's fields and is not read (``messages[].name``)."""
        return set()
