"""Words and columns with which files mark an answer as good or bad."""

from __future__ import annotations

from typing import Any

from residency.data.reading.conversations import read_yes_or_no

BAD_COLUMNS = ("rejected", "is_rejected", "is_bad")
"""Columns of yes and no in which yes marks a bad answer."""
_GOOD = {"good", "chosen", "accepted", "approved", "desirable", "thumbs_up", "👍"}
_BAD = {"bad", "rejected", "undesirable", "thumbs_down", "👎", "-1", "-1.0"}


def read_answer_mark(value: Any, column: str) -> bool | None:
    """Whether a value of a column marks its row's answer as good (True) or bad (False).

    None where it says neither, so that the column is a class or a score.
    """
    answer = read_yes_or_no(value)
    if answer is not None:
        return answer != (column.strip().lower() in BAD_COLUMNS)
    word = str(value).strip().lower().replace(" ", "_").replace("thumbs-", "thumbs_")
    if word in _GOOD:
        return True
    return False if word in _BAD else None
