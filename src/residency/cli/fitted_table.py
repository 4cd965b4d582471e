"""Tables that are wider than the terminal: narrowed, or written row by row. Rich would cut figures."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

_FRAME = 3
"""Columns that a border and its two spaces take."""


def fit_table(item: Any, width: int) -> Any:
    """The same item; a table that is wider than ``width`` columns is narrowed, or written as lines.

    It is narrowed where the longest word of each column has room, so that no figure is broken.
    """
    if not isinstance(item, Table) or not item.columns:
        return item
    room = width - 1 - _FRAME * len(item.columns)
    wanted = [_measure_column(column, whole=True) for column in item.columns]
    if sum(wanted) <= room:
        return item
    widths = [_measure_column(column, whole=column.no_wrap) for column in item.columns]
    if sum(widths) > room:
        return _stack(item)
    for _ in range(room - sum(widths)):
        widest = max(range(len(widths)), key=lambda i: wanted[i] / max(1, widths[i]))
        widths[widest] += 1
    for column, columns in zip(item.columns, widths, strict=True):
        column.width = max(1, columns)
    return item


def _stack(table: Table) -> Group:
    lines: list[RenderableType] = []
    if table.title:
        lines.append(_make_text(table.title, "bold"))
    headers = [_make_text(column.header).plain for column in table.columns]
    rows = zip(*(list(column.cells) for column in table.columns), strict=True)
    for row_number, row in enumerate(rows):
        style = table.rows[row_number].style or ""
        cells = [_make_text(cell, style) for cell in row]
        first = next((i for i, cell in enumerate(cells) if cell.plain.strip()), 0)
        cells[first].stylize("bold")
        lines.append(cells[first])
        for number, (header, cell) in enumerate(zip(headers, cells, strict=True)):
            if number != first and cell.plain.strip():
                name = f"  {header}: " if header.strip() else "  "
                lines.append(Text(name).append_text(cell))
    if table.caption:
        lines.append(_make_text(table.caption))
    return Group(*lines)


def _measure_column(column: Column, *, whole: bool) -> int:
    """The columns of its longest line, or of its longest word."""
    texts = [_make_text(part).plain for part in (column.header, *column.cells)]
    pieces = [piece for text in texts for piece in (text.splitlines() if whole else text.split())]
    return max(map(cell_len, pieces), default=0)


def _make_text(value: Any, style: Any = "") -> Text:
    if isinstance(value, Text):
        text = value.copy()
        text.stylize_before(style)
        return text
    return Text(str(value), style=style)
