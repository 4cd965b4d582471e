"""Lines of a file, none of them longer than a row may be, and not millions of empty ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr

from residency.errors import DataError

LONGEST_LINE = 1 << 26
"""Bytes of one line, and characters of one row of an array."""
MOST_EMPTY_LINES = 1 << 22
"""Empty lines, one after the other."""


def read_bounded_lines(handle: IO[AnyStr], path: Path, next_step: str) -> Iterator[AnyStr]:
    """The lines, with their ends, as a stream.

    Args:
        next_step: what to do about a line that is too long.

    Raises:
        DataError: a line is longer than ``LONGEST_LINE``, or too many are empty.
    """
    empty = number = 0
    while line := handle.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"a row of more than {LONGEST_LINE >> 20} MB",
                where=f"{path}:{number}",
                next_step=next_step,
            )
        empty = empty + 1 if line.isspace() else 0
        if empty > MOST_EMPTY_LINES:
            raise DataError(
                f"more than {MOST_EMPTY_LINES:,} empty lines",
                where=f"{path}:{number}",
                next_step="take them out: sed '/^$/d'",
            )
        yield line
