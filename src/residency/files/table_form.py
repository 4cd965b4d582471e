"""How a delimited table is written: what divides its fields, and what quotes mean in it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import Any

_SEPARATOR = re.compile(r"\"?sep=(.)\"?\r?$", re.IGNORECASE)
"""The line that names the delimiter for Excel."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class TableForm:
    """What a CSV reader must know.

    Attributes:
        before: lines above the header. quoted: fields may stand in quotes; else quotes are text.
        spaced: a space may follow the delimiter, before a quote.
    """

    delimiter: str
    before: int = 0
    quoted: bool = True
    spaced: bool = False

    def open_reader(self, lines: Any) -> Any:
        """A reader of the lines from the header on."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            skipinitialspace=self.spaced,
            strict=True,
        )


def find_table_form(head: str) -> TableForm:
    """The form of a table by its beginning.

    Quotes are text in a table of tabs whose every line has all its fields although a quote that
    opens one does not close it: translators' tables hold a sentence's own quotes so.
    """
    first, _, rest = head.partition("\n")
    separator = _SEPARATOR.match(first)
    delimiter = separator[1] if separator else max(",\t;|", key=first.count)
    lines = [line for line in (head if not separator else rest).splitlines() if line][:-1]
    fields = [line.split(delimiter) for line in lines]
    whole = len({len(row) for row in fields}) == 1
    opened = [field for row in fields for field in row if field.startswith('"')]
    broken = any(not _QUOTED.fullmatch(field) for field in opened)
    return TableForm(
        delimiter,
        before=1 if separator else 0,
        quoted=not (delimiter == "\t" and whole and broken),
        spaced=any(f'{delimiter} "' in line for line in lines[:2]),
    )
