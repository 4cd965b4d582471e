"""One row as it stands in its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Record:
    """One row as it stands in its file.

    Attributes:
        line: 1-based line of a text file, or row of a table.
        values: its fields; None when the row could not be read.
        error: why it could not be read. field: where, if one field is at fault.
    """

    line: int
    values: dict[str, Any] | None
    error: str = ""
    field: str = ""
