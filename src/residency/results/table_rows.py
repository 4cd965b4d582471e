"""Nouns as a list that a notebook shows as a table, and that turns into a data frame."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable
from html import escape
from typing import Any, TypeVar

from residency.errors import MissingExtraError
from residency.nouns.example import Example
from residency.nouns.proposal import Proposal

Noun = TypeVar("Noun")
SHOWN_ROWS = 20
SHOWN_CHARACTERS = 160


class TableRows(list[Noun]):
    """A list of nouns (a list in every respect), with ``to_polars``, ``to_pandas`` and a short view."""

    def __init__(self, nouns: Iterable[Noun] = (), *, name: str = "rows") -> None:
        super().__init__(nouns)
        self.name = name

    def __repr__(self) -> str:
        return f"<{self._count()}>"

    def _count(self) -> str:
        """``1 run``, ``2 runs``."""
        return f"{len(self)} {self.name.removesuffix('s') if len(self) == 1 else self.name}"

    def _repr_html_(self) -> str:
        """The first rows as a table; every text in it is escaped."""
        records = [flatten_noun(noun) for noun in self[:SHOWN_ROWS]]
        columns = list(dict.fromkeys(key for record in records for key in record))
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{escape(_shorten(record.get(name)))}</td>" for name in columns)
            + "</tr>"
            for record in records
        )
        more = f"<p>the first {SHOWN_ROWS}</p>" if len(self) > SHOWN_ROWS else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<div><b>{escape(self._count())}</b>{table}{more}</div>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Rows as flat dictionaries: ids, texts and figures; what is nested as text."""
        return [flatten_noun(noun) for noun in self]

    def to_polars(self) -> Any:
        """A polars data frame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        try:
            import polars
        except ImportError:
            raise MissingExtraError(
                "polars is not installed", next_step="pip install polars"
            ) from None
        return polars.DataFrame(self.to_dicts(), infer_schema_length=None)

    def to_pandas(self) -> Any:
        """A pandas data frame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise MissingExtraError(
                "pandas is not installed", next_step="pip install pandas"
            ) from None
        return pandas.DataFrame(self.to_dicts())


def flatten_noun(noun: Any) -> dict[str, Any]:
    """A noun as plain columns: its id first; an example as prompt and reference."""
    if isinstance(noun, dict):
        return {str(key): _flat(value) for key, value in noun.items()}
    record: dict[str, Any] = {"id": noun.id} if hasattr(noun, "id") else {}
    if isinstance(noun, Example):
        record |= {"split": noun.split, "prompt": noun.prompt_text, "reference": noun.reference}
        return record | {"tags": ", ".join(noun.tags), "source": noun.source, "why": noun.why}
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        if isinstance(value, Example):
            record |= {field.name: value.id, "prompt": value.prompt_text}
            record["reference"] = value.reference
        elif isinstance(value, Proposal):
            record |= flatten_noun(value)
        else:
            record[field.name] = _flat(value)
    return record


def _flat(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(str(_flat(item)) for item in value)
    return str(value)


def _shorten(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
