"""Turns that a file calls bad, by a mark on them (``"good": false``) or by a rating that is too low.

Such a turn stays in its conversation and is not learned, as one with ``"weight": 0`` is not. Which
words and names mark an answer is told in ``answer_marks.py``, which values a rating has in
``ratings.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from residency.data.reading.answer_marks import (
    DOUBTFUL_COLUMNS,
    LABEL_COLUMNS,
    read_answer_mark,
)
from residency.data.reading.clean_text import RowError, is_missing
from residency.data.reading.column_paths import WITHIN, list_turn_values, read_turns
from residency.data.reading.ratings import read_number

_MARK_NAMES = DOUBTFUL_COLUMNS.union(LABEL_COLUMNS)


def find_turn_marks(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> tuple[str, ...]:
    """Keys within turns that mark them as good or bad: by their name, and by every value."""
    return tuple(path for path in names if _marks_turns(rows, path))


def has_mark_name(key: str) -> bool:
    """Whether columns and keys of this name mark answers as good or bad."""
    return key.strip().lower().replace(" ", "_") in _MARK_NAMES


def list_turn_keys(row: Mapping[str, Any], columns: Iterable[str]) -> set[str]:
    """Paths of the keys that the turns of a row have."""
    return {
        f"{column}{WITHIN}{key}"
        for column in columns
        for turn in read_turns(row.get(column))
        if isinstance(turn, Mapping)
        for key in turn
    }


def find_late_marks(
    row: Mapping[str, Any], seen: Set[str], columns: Iterable[str]
) -> tuple[str, ...]:
    """Marks of a row's turns under keys that the rows at the file's beginning do not have.

    Args:
        seen: columns and paths of those rows. columns: those that hold turns.

    Raises:
        RowError: a column that they do not have calls the row bad.
    """
    for key in row.keys() - seen:
        if has_mark_name(key) and read_answer_mark(row[key], key) is False:
            raise RowError("the row is marked as bad, in a column that the first rows lack", key)
    late = list_turn_keys(row, columns) - seen
    return tuple(path for path in sorted(late) if has_mark_name(path.rpartition(WITHIN)[2]))


def _marks_turns(rows: Sequence[Mapping[str, Any]], path: str) -> bool:
    _, within, key = path.partition(WITHIN)
    if not within or not has_mark_name(key):
        return False
    values = [value for row in rows for value in list_turn_values(row, path)]
    return bool(values) and all(read_answer_mark(value, key) is not None for value in values)


def leave_out_bad_turns(
    row: Mapping[str, Any], marks: Sequence[str], least: Mapping[str, float], *, asked: bool
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The row with its bad turns marked as not to be learned, and by which keys, in words.

    Args:
        marks: keys that mark turns. least: key → the least rating of a turn that is learned.
        asked: the row's last answer is a reference to be measured by.

    Raises:
        RowError: a turn is not rated with a number; or a reference is marked as bad.
    """
    said: list[str] = []
    for path in (*marks, *(path for path in least if WITHIN in path)):
        column, _, key = path.partition(WITHIN)
        turns = read_turns(row.get(column))
        bad = list(_find_bad(turns, path, key, least.get(path)))
        if not bad:
            continue
        if asked and bad[-1] == len(turns) - 1:
            raise RowError("the last answer is marked as bad", f"{column}[{bad[-1]}].{key}")
        marked = [{**turn, "train": False} if n in bad else turn for n, turn in enumerate(turns)]
        row = {**row, column: marked}
        said.append(f"a turn that {path} calls bad is not learned")
    return row, tuple(said)


def _find_bad(turns: Sequence[Any], path: str, key: str, lowest: float | None) -> Iterator[int]:
    for number, turn in enumerate(turns):
        if not isinstance(turn, Mapping) or is_missing(value := turn.get(key)):
            continue
        if lowest is None:
            bad = read_answer_mark(value, key) is False
        else:
            rating = read_number(value)
            if rating is None:
                raise RowError("no number, and [data] least asks for one", path)
            bad = rating < lowest
        if bad:
            yield number
