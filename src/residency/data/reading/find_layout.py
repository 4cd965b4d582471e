"""Which layout the rows of a source have, told by their fields or named by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from residency.data.reading.answer_marks import read_answer_mark
from residency.data.reading.clean_text import is_missing
from residency.data.reading.column_paths import (
    has_column,
    read_column,
)
from residency.data.reading.doubtful_columns import (
    are_classes,
    ask_for_answers,
    hold_classes,
    list_columns,
)
from residency.data.reading.file_shapes import describe_file_shape
from residency.data.reading.layouts.known_layouts import find_layouts
from residency.data.reading.layouts.layout import (
    COLUMNS,
    SHARED_FIELDS,
    Layout,
    RowFields,
)
from residency.data.reading.suggest_columns import (
    COLUMNS_HINT,
    suggest_columns,
)
from residency.errors import DataError
from residency.files.turn_lists import is_turn

RAW = ("text", "text-label")
"""Layouts that are taken only where rows hold nothing else that could be a prompt or an answer."""


@dataclass(frozen=True)
class RowMapping:
    """How the rows of a file are read: a layout, and the column that stands for each field."""

    layout: Layout
    columns: Mapping[str, str]

    def __str__(self) -> str:
        pairs = (
            ours if ours == theirs else f"{ours} ← {theirs}"
            for ours, theirs in self.columns.items()
        )
        columns = ", ".join(pairs)
        return f"{self.layout.name} ({columns})" if columns else self.layout.name


def find_mapping(
    rows: Sequence[Mapping[str, Any]],
    *,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    where: str = "",
    raw_text: bool = False,
) -> RowMapping:
    """The layout that fits most of ``rows``, and its columns.

    Args:
        raw_text: texts stay as they are, also where they look like written-out chats.

    Raises:
        DataError: no layout fits, or several could be meant; a named layout or column does not
            exist.
    """
    named = dict(columns or {})
    layouts = find_layouts()
    _check_names(rows, named, layout, layouts, where)
    candidates = layouts.values() if layout == "auto" else [layouts[layout]]
    fitting: list[tuple[int, RowMapping]] = []
    for candidate in candidates:
        matched = _match_columns(rows, candidate, named)
        if matched is None:
            continue
        fits = sum(candidate.fits_row(RowFields(row, matched)) for row in rows)
        if fits:
            fitting.append((fits, RowMapping(candidate, matched)))
    if not fitting:
        raise _no_layout(rows, layout, where)
    if layout != "auto":
        return _with_marks(rows, fitting[0][1], named)
    asking = [
        (fits, mapping)
        for fits, mapping in fitting
        if mapping.layout.name not in RAW
        and not (mapping.layout.name == "chat-text" and (raw_text or 2 * fits < len(rows)))
    ]
    if not asking:
        return _with_marks(rows, _choose_raw(rows, fitting, named, where), named)
    # Columns that the user names say what is meant: an export that holds them is read by them.
    fits, mapping = max(asking, key=lambda pair: (named.keys() <= pair[1].columns.keys(), pair[0]))
    if 2 * fits < len(rows):
        raise DataError(
            f"only {fits} of the first {len(rows)} rows are of the layout {mapping}",
            where=where,
            next_step=f"{COLUMNS_HINT}; or divide the file by layout",
        )
    return _with_marks(rows, mapping, named)


def _no_layout(rows: Sequence[Mapping[str, Any]], layout: str, where: str) -> DataError:
    present = list_columns(rows)
    wanted = f"the layout {layout!r}" if layout != "auto" else "any known layout"
    fields = f"the fields {', '.join(present)} do" if present else "rows without fields do"
    what, step = describe_file_shape(rows, where)
    return DataError(
        f"{fields} not make {wanted}{what}", where=where, next_step=step or suggest_columns(rows)
    )


def _choose_raw(
    rows: Sequence[Mapping[str, Any]],
    fitting: Sequence[tuple[int, RowMapping]],
    named: Mapping[str, str],
    where: str,
) -> RowMapping:
    """Raw text, or text with a class.

    Raises:
        DataError: beside the text stands what may be an answer, a question or a mark of bad rows.
    """
    by_name = {mapping.layout.name: mapping for _, mapping in fitting}
    plain = by_name.get("text") or by_name["text-label"]
    if "response" in named:
        return plain
    text = plain.columns["text"]
    present = list_columns(rows)
    if 2 * sum(map(is_turn, rows)) > len(rows) and not named:
        raise DataError(
            "each row is one turn of a conversation",
            where=where,
            next_step='put the turns of a conversation into one row, {"messages": […]}; or '
            f'[data] format = "text" to train on {text} as raw text',
        )
    labelled = by_name.get("text-label")
    if labelled is not None:
        column = labelled.columns["class"]
        values = [v for row in rows if not is_missing(v := read_column(row, column))]
        if "class" in named:
            return labelled
        if any(isinstance(value, bool) for value in values) and "label" not in named:
            raise DataError(
                f"{column} is true or false: a class to tell, or a mark of good and bad rows?",
                where=where,
                next_step=f"--column class={column}, or --column label={column} (bad rows are left out)",
            )
        if "label" not in named and (column.lower() == "label" or are_classes(values)):
            return labelled
    ask_for_answers(rows, named, text, where)
    classes = [c for c in present if c != text and "class" not in named and hold_classes(rows, c)]
    if classes:
        raise DataError(
            f"beside {text} stands {', '.join(classes)}, whose values come again and again: a class "
            "to tell?",
            where=where,
            next_step=f"--column class={classes[0]}, or "
            f'[data] format = "text" to train on {text} as raw text',
        )
    return plain


def _with_marks(
    rows: Sequence[Mapping[str, Any]], mapping: RowMapping, named: Mapping[str, str]
) -> RowMapping:
    """The mapping with the first column that marks bad rows as its ``label``; a class is none."""
    if "label" in named:
        return mapping
    columns = {field: column for field, column in mapping.columns.items() if field != "label"}
    present = {str(key).strip().lower().replace(" ", "_"): str(key) for row in rows for key in row}
    for column in (present[name] for name in COLUMNS["label"] if name in present):
        values = [v for row in rows if not is_missing(v := read_column(row, column))]
        marks = values and all(read_answer_mark(value, column) is not None for value in values)
        if marks and column not in columns.values():
            columns["label"] = column
            break
    return replace(mapping, columns=columns)


def _check_names(
    rows: Sequence[Mapping[str, Any]],
    named: Mapping[str, str],
    layout: str,
    layouts: Mapping[str, Layout],
    where: str,
) -> None:
    if layout != "auto" and layout not in layouts:
        raise DataError(
            f"unknown format {layout!r}",
            where="residency.toml [data] format",
            next_step=f"use auto or one of {', '.join(layouts)}",
        )
    known = dict.fromkeys([*COLUMNS, *(f for kind in layouts.values() for f in kind.columns)])
    for ours, theirs in named.items():
        if ours not in known:
            raise DataError(
                f"unknown field {ours!r}",
                where="residency.toml [data] columns",
                next_step=f"known fields: {', '.join(known)}",
            )
        if rows and not any(has_column(row, theirs) for row in rows):
            raise DataError(
                f"no column {theirs!r} (for {ours}); the file has {', '.join(list_columns(rows))}",
                where=where,
                next_step="correct --column, or [data] columns in residency.toml",
            )


def _match_columns(
    rows: Sequence[Mapping[str, Any]], layout: Layout, named: Mapping[str, str]
) -> dict[str, str] | None:
    """The column of each field of a layout; None where one that it needs has none."""
    present: dict[str, str] = {}  # columns by their names in small letters
    for row in rows:
        for key in row:
            plain = str(key).strip().lower()
            present.setdefault(plain, key)
            present.setdefault(plain.replace(" ", "_").replace("-", "_"), key)
            present[key] = key  # a name that is spelt exactly so comes first
    names = {**COLUMNS, **layout.columns}
    matched: dict[str, str] = {}
    for field in dict.fromkeys((*layout.needs, *layout.may, *SHARED_FIELDS)):
        column = named.get(field) or next(
            (present[name] for name in names[field] if name in present), None
        )
        if field == "class" and column is None:
            column = _only_other(rows, matched)
        if column is not None and column not in matched.values():
            matched[field] = column
    if not all(field in matched for field in layout.needs):
        return None
    # A text column is raw text unless the user names a response for it.
    if layout.name == "text" and "response" not in named:
        matched.pop("response", None)
    return matched


def _only_other(rows: Sequence[Mapping[str, Any]], matched: Mapping[str, str]) -> str | None:
    """The second of two columns."""
    others = {key for row in rows for key in row} - set(matched.values())
    return next(iter(others)) if len(others) == 1 and len(matched) == 1 else None
