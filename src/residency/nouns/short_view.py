"""What a command returns, where people look at it: one line as text, a small table in a notebook."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 60
MOST_ROWS = 20
MOST_COLUMNS = 12
_DRAWINGS: dict[str, Callable[[Any], str]] = {}


class ShortView:
    """A dataclass (with ``repr=False``) that is shown by its figures; long fields by how long they are.

    A class that has ``describe()`` or ``sentence`` is shown with these words first.
    """

    def __repr__(self) -> str:
        parts = [f"{name}={_tell(value)}" for name, value in _list_fields(self)]
        return f"<{type(self).__name__} {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Every text in it is escaped."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name.replace('_', ' '))}</th>"
            f"<td style='text-align:left'>{_draw(value)}</td></tr>"
            for name, value in _list_fields(self)
        )
        name = escape(type(self).__name__)
        said = _describe(self)
        words = f"<p>{escape(said)}</p>" if said else ""
        return f"<div><b>{name}</b>{words}{draw_charts(self)}<table>{rows}</table></div>"


def add_drawing(shown: str, draw: Callable[[Any], str]) -> None:
    """Let a type (module and name) be drawn above its table; ``draw`` gives HTML with every text escaped."""
    _DRAWINGS[shown] = draw


def draw_charts(value: Any) -> str:
    """What is drawn of a value, as HTML; empty where nothing is."""
    drawing = _DRAWINGS.get(f"{type(value).__module__}.{type(value).__qualname__}")
    return drawing(value) if drawing else ""


def _describe(value: Any) -> str:
    """What a value says of itself in words; empty where it says nothing."""
    describe = getattr(value, "describe", None)
    said = describe() if callable(describe) else getattr(value, "sentence", "")
    return said if isinstance(said, str) else ""


def _list_fields(view: Any) -> list[tuple[str, Any]]:
    fields = [
        (field.name, getattr(view, field.name)) for field in dataclasses.fields(view) if field.repr
    ]
    key = getattr(view, "id", None)
    known = isinstance(key, str) and "id" not in dict(fields)
    return [("id", key), *fields] if known else fields


def _tell(value: Any) -> str:
    """A value in a few words: figures and short texts as they are, long ones by their length."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None or isinstance(value, bool | int):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}…")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping | Sequence | set | frozenset):
        return f"({len(value)})"
    key = getattr(value, "id", None)
    return f"<{type(value).__name__}{f' {key}' if isinstance(key, str) else ''}>"


def _draw(value: Any) -> str:
    """A field as a cell: a list of texts as lines, of figures or records as a nested table."""
    if isinstance(value, Mapping) and value:
        if not any(_is_record(item) for item in value.values()):
            shown = [f"{key}: {_tell_cell(item)}" for key, item in value.items()][:MOST_ROWS]
            return escape(" · ".join(shown)) + _more(value)
        return draw_table([{"": key, **_columns(item)} for key, item in value.items()])
    if isinstance(value, list | tuple) and value:
        if all(isinstance(item, str) for item in value):
            return "<br>".join(escape(_shorten(item)) for item in value[:MOST_ROWS]) + _more(value)
        return draw_table([_columns(item) for item in value])
    if _is_record(value) and not isinstance(getattr(value, "id", None), str):
        inside = [f"{name}: {_tell_cell(item)}" for name, item in _columns(value).items()]
        return escape(_describe(value) or " · ".join(inside[:MOST_ROWS]))
    return escape(_shorten(value) if isinstance(value, str) else _tell(value))


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) or isinstance(value, Mapping)


def _columns(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value) if isinstance(value, Mapping) else {"value": value}


def draw_table(records: list[dict[str, Any]]) -> str:
    """Records as an HTML table, the first of many; every text in it is escaped."""
    shown = records[:MOST_ROWS]
    names = list(dict.fromkeys(name for record in shown for name in record))[:MOST_COLUMNS]
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(_tell_cell(record.get(name)))}</td>" for name in names)
        + "</tr>"
        for record in shown
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_more(records)}"


def _tell_cell(value: Any) -> str:
    return _shorten(value) if isinstance(value, str) else "" if value is None else _tell(value)


def _shorten(text: str) -> str:
    return text if len(text) <= 4 * MOST_CHARACTERS else f"{text[: 4 * MOST_CHARACTERS]}…"


def _more(values: Sequence[Any] | Mapping[Any, Any]) -> str:
    left = len(values) - MOST_ROWS
    return f"<p>… and {left} more</p>" if left > 0 else ""
