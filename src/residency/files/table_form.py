"""How a delimited table is written: what divides its fields, and what quotes mean in it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import Any

_SEPARATOR = re.compile(r"\"?sep=(.)\"?\r?$", re.IGNORECASE)
"""The line that names the delimiter for Excel."""
COLUMN_NAMES = {
    "question", "answer", "prompt", "completion", "instruction", "input", "output", "response", "text",
    "label", "context", "system", "id",
}  # fmt: skip
"""Names that columns of examples have."""
DELIMITERS = ",\t;|"
MOST_TITLE_LINES = 11
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


def count_title_lines(head: str) -> int:
    """Lines above a table's header: titles and dates, as reports are exported.

    Only a line with two of columns' usual names is taken for a header below others: where it holds
    nothing else, or more fields than any line above it.
    """
    widest = 0
    for number, line in enumerate(head.splitlines()[:MOST_TITLE_LINES]):
        names = max((_list_names(line, d) for d in DELIMITERS), key=len)
        known = COLUMN_NAMES.intersection(names)
        if len(known) > 1 and (len(names) > widest or COLUMN_NAMES.issuperset(names)):
            return number
        if known:
            return 0
        widest = max(widest, len(names))
    return 0


def _list_names(line: str, delimiter: str) -> list[str]:
    """The fields of a line that hold anything, as names."""
    return [name for field in line.split(delimiter) if (name := field.strip(' "\r').lower())]


def find_table_form(head: str) -> TableForm:
    """The form of a table by its beginning.

    Quotes are text in a table of tabs whose every line has all its fields although a quote that
    opens one does not close it: translators' tables hold a sentence's own quotes so.
    """
    first = head.partition("\n")[0]
    separator = _SEPARATOR.match(first)
    before = 1 if separator else count_title_lines(head)
    all_lines = head.splitlines()
    header = all_lines[before] if len(all_lines) > before else ""
    delimiter = separator[1] if separator else max(DELIMITERS, key=header.count)
    lines = [line for line in all_lines[before:] if line][:-1]
    fields = [line.split(delimiter) for line in lines]
    whole = len({len(row) for row in fields}) == 1
    opened = [field for row in fields for field in row if field.startswith('"')]
    broken = any(not _QUOTED.fullmatch(field) for field in opened)
    return TableForm(
        delimiter,
        before=before,
        quoted=not (delimiter == "\t" and whole and broken),
        spaced=any(f'{delimiter} "' in line for line in lines[:2]),
    )
