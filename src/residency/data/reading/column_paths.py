"""Columns inside of columns: ``translation.de`` is the field ``de`` of the object ``translation``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_DEEPEST = 6


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
