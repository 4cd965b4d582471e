"""Which layout the rows of a source have, found by their fields or named by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from residency.errors import DataError

Layout = Literal["alpaca", "prompt", "question", "messages", "sharegpt", "preference", "text"]
LAYOUTS: tuple[Layout, ...] = (
    "preference",
    "messages",
    "sharegpt",
    "alpaca",
    "prompt",
    "question",
    "text",
)
"""In the order in which they are tried: a preference row may also hold a question."""

RESPONSE_FIELDS = ("response", "output", "completion", "answer", "target")
FIELDS: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "response": RESPONSE_FIELDS,
    "prompt": ("prompt",),
    "question": ("question", "query"),
    "messages": ("messages",),
    "conversations": ("conversations", "conversation"),
    "chosen": ("chosen", "chosen_messages", "chosen_response"),
    "rejected": ("rejected", "rejected_messages", "rejected_response"),
    "text": ("text", "content"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "history": ("history",),
    "tags": ("tags",),
    "group": ("group",),
    "weight": ("weight",),
    "label": ("label",),
}
"""Our name of a field → the names under which it is found when ``columns`` names none."""


@dataclass(frozen=True)
class RowMapping:
    """How the rows of a file are read: a layout, and the column that stands for each field."""

    layout: Layout
    columns: Mapping[str, str]

    def __str__(self) -> str:
        shown = (
            ours if ours == theirs else f"{ours} ← {theirs}"
            for ours, theirs in self.columns.items()
        )
        return f"{self.layout} ({', '.join(shown)})"


def find_mapping(
    rows: Sequence[Mapping[str, Any]],
    *,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    where: str = "",
) -> RowMapping:
    """The layout that fits most of ``rows``, and its columns.

    Raises:
        DataError: no layout fits; a named layout or column does not exist.
    """
    named = dict(columns or {})
    _check_names(rows, named, layout, where)
    best: tuple[int, RowMapping] | None = None
    for candidate in LAYOUTS if layout == "auto" else (layout,):
        found = _columns(rows, candidate, named)  # type: ignore[arg-type]
        if found is None:
            continue
        fits = sum(_fits(row, candidate, found) for row in rows)  # type: ignore[arg-type]
        if fits and (best is None or fits > best[0]):
            best = fits, RowMapping(candidate, found)  # type: ignore[arg-type]
    if best is None:
        present = sorted({str(key) for row in rows for key in row})[:12]
        wanted = f"the layout {layout!r}" if layout != "auto" else "any known layout"
        fields = f"the fields {', '.join(present)} do" if present else "rows without fields do"
        raise DataError(
            f"{fields} not make {wanted}",
            where=where,
            next_step="name your columns in residency.toml, e.g. "
            '[data] columns = {instruction = "question_text", response = "reply"}',
        )
    return best[1]


def _check_names(
    rows: Sequence[Mapping[str, Any]], named: Mapping[str, str], layout: str, where: str
) -> None:
    if layout != "auto" and layout not in LAYOUTS:
        raise DataError(
            f"unknown format {layout!r}",
            where="residency.toml [data] format",
            next_step=f"use auto or one of {', '.join(LAYOUTS)}",
        )
    for ours, theirs in named.items():
        if ours not in FIELDS:
            raise DataError(
                f"unknown field {ours!r}",
                where="residency.toml [data] columns",
                next_step=f"known fields: {', '.join(FIELDS)}",
            )
        if rows and not any(theirs in row for row in rows):
            present = sorted({str(key) for row in rows for key in row})[:12]
            raise DataError(
                f"no column {theirs!r} (for {ours}); the file has {', '.join(present)}",
                where=where,
                next_step="correct [data] columns in residency.toml",
            )


_NEEDS: dict[Layout, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # layout: fields that every row must hold, fields that it may hold
    "preference": (
        ("chosen", "rejected"),
        (
            "prompt",
            "question",
            "instruction",
            "input",
            "messages",
            "conversations",
            "system",
            "tools",
        ),
    ),
    "messages": (("messages",), ("system", "tools", "label")),
    "sharegpt": (("conversations",), ("system", "tools", "label")),
    "alpaca": (("instruction",), ("input", "response", "system", "history")),
    "prompt": (("prompt",), ("response", "system")),
    "question": (("question",), ("input", "response", "system")),
    "text": (("text",), ("response", "system")),
}
_ALWAYS = ("tags", "group", "weight")


def _columns(
    rows: Sequence[Mapping[str, Any]], layout: Layout, named: Mapping[str, str]
) -> dict[str, str] | None:
    needs, may = _NEEDS[layout]
    present = {key for row in rows for key in row}
    found: dict[str, str] = {}
    for field in (*needs, *may, *_ALWAYS):
        column = named.get(field) or next((c for c in FIELDS[field] if c in present), None)
        if column is not None and column not in found.values():
            found[field] = column
    if not all(field in found for field in needs):
        return None
    # A text column is raw text unless the user names a response for it.
    if layout == "text" and "response" in found and "response" not in named:
        del found["response"]
    return found


def _fits(row: Mapping[str, Any], layout: Layout, columns: Mapping[str, str]) -> bool:
    for field in _NEEDS[layout][0]:
        value = row.get(columns[field])
        if value is None:
            return False
        if field in ("messages", "conversations") and not isinstance(value, list | str):
            return False
        if field in ("text", "instruction", "prompt", "question") and not isinstance(value, str):
            return False
    return True
