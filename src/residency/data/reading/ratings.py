"""Columns of ratings: told where they are not read, and rows left out by them."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from residency.data.reading.answer_marks import may_mark_answers
from residency.data.reading.clean_text import RowError, clean_label, write_value
from residency.data.reading.column_paths import (
    WITHIN,
    find_root,
    has_column,
    list_values,
    read_column,
)
from residency.errors import DataError

_NAMES = re.compile(
    r"(?:.*_)?(?:rating|ratings|score|stars|quality|grade|reward|helpfulness|correctness|upvotes|votes)"
)


def check_ratings(row: Mapping[str, Any], least: Mapping[str, float]) -> None:
    """That a row is rated as well as the settings ask, where it is rated.

    Args:
        least: column → the least number of a row that is used.

    Raises:
        RowError: it is rated worse, or not with a number.
    """
    for column, lowest in least.items():  # those of turns: turn_marks.py
        if find_root(row, column) not in row:
            continue
        number = read_number(read_column(row, column))
        if number is None:
            raise RowError("no number, and [data] least asks for one", column)
        if number < lowest:
            raise RowError("rated below [data] least", column)


def check_rating_columns(
    rows: Sequence[Mapping[str, Any]], least: Mapping[str, float], where: str
) -> None:
    """That the columns by which rows are left out are there.

    Raises:
        DataError: one is not.
    """
    for column in least:
        if rows and not any(has_column(row, column) or list_values(row, column) for row in rows):
            names = sorted({clean_label(str(key)) for row in rows for key in row})[:12]
            raise DataError(
                f"no column {column!r} to leave out rows by; the file has {', '.join(names)}",
                where=where,
                next_step="correct --least, or [data] least in residency.toml",
            )


def read_number(value: Any) -> float | None:
    """A finite number, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def describe_ratings(rows: Sequence[Mapping[str, Any]], unused: Iterable[str]) -> tuple[str, ...]:
    """Of each unused column that holds ratings or may mark bad answers: its values, and how bad rows
    are left out."""
    notes = []
    for column in unused:
        name = column.rpartition(WITHIN)[2].strip().lower().replace(" ", "_")
        values = [value for row in rows for value in list_values(row, column)]
        if WITHIN not in column and may_mark_answers(column, values):
            words = " or ".join(sorted({write_value(value) for value in values})[:4])
            notes.append(
                f"{column} is {words} and is not read: if it marks bad answers, they are trained like good "
                f"ones; to leave them out: --column {shlex.quote(f'label={column}')}"
            )
            continue
        if not _NAMES.fullmatch(name):
            continue
        numbers = [number for v in values if (number := read_number(v)) is not None]
        low, high = min(numbers, default=0.0), max(numbers, default=0.0)
        if len(numbers) < len(values) or low == high:
            continue
        least = low + 0.6 * (high - low)
        whole = all(number == int(number) for number in numbers)
        shown = f"{math.ceil(least)}" if whole else f"{least:.3g}"
        key = column if re.fullmatch(r"[A-Za-z0-9_-]+", column) else json.dumps(column)
        what = "turns" if WITHIN in column else "rows"
        notes.append(
            f"{column} holds numbers from {low:g} to {high:g} and is not read, so {what} that it calls bad "
            f"are trained like good ones; to leave them out: --least "
            f"{shlex.quote(f'{column}={shown}')}, or [data] least = {{{key} = {shown}}}"
        )
    return tuple(notes)
