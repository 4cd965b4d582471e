"""Columns inside of columns: ``translation.de`` is the field ``de`` of the object ``translation``, and
``messages[].rating`` what each turn of the column ``messages`` says under ``rating``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from residency.data.reading.clean_text import is_missing
from residency.files.turn_lists import list_column_turns

_DEEPEST = 6
WITHIN = "[]."
"""Between a column of turns and a key within them: ``messages[].rating``."""


def read_column(row: Mapping[str, Any], column: str) -> Any:
    """What stands in a column, or at a path of names and places (``answers.0.text``); None without.

    A column whose name holds dots comes first.
    """
    if column in row or "." not in column:
        return row.get(column)
    value: Any = row
    for step in column.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif (
            isinstance(value, Sequence) and not isinstance(value, str | bytes) and step.isdecimal()
        ):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def has_column(row: Mapping[str, Any], column: str) -> bool:
    """Whether a row has a column, or something at a path."""
    return column in row or read_column(row, column) is not None


def find_root(row: Mapping[str, Any], column: str) -> str:
    """The column of the file in which a path begins."""
    return column if column in row else column.split(".")[0]


def list_text_paths(row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of a row at which text stands, those inside of objects too."""
    for name, value in row.items():
        path = f"{prefix}{name}"
        if isinstance(value, str):
            yield path
        elif isinstance(value, Mapping) and path.count(".") < _DEEPEST:
            yield from list_text_paths(value, f"{path}.")


def list_values(row: Mapping[str, Any], column: str) -> list[Any]:
    """What stands in a column, or under a key of its turns, without what is missing."""
    if WITHIN in column and column not in row:
        return list_turn_values(row, column)
    value = read_column(row, column)
    return [] if is_missing(value) else [value]


def list_turn_values(row: Mapping[str, Any], path: str) -> list[Any]:
    """What stands under a key of a row's turns, without what is missing."""
    column, _, key = path.partition(WITHIN)
    turns = read_turns(row.get(column))
    return [t[key] for t in turns if isinstance(t, Mapping) and not is_missing(t.get(key))]


def read_turns(value: Any) -> list[Any]:
    """The turns of a conversation, also of its JSON text or its columns; empty where it is none."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if isinstance(value, Mapping):
        return list_column_turns(value)
    return value if isinstance(value, list) else []
