"""Columns beside raw text that may be what is asked, what is answered, or a class: they are asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.data.reading.clean_text import clean_label, is_missing
from residency.data.reading.column_paths import read_column
from residency.data.reading.layouts.layout import COLUMNS, RESPONSE_COLUMNS
from residency.data.reading.suggest_columns import MAYBE_ANSWERS, NO_WORDS
from residency.errors import DataError
from residency.text.words import split_words

_FEW_TEXTS, _FEW_WORDS, _LOOKED_AT = 3, 5, 400
"""Of a column beside raw text: values below which nothing is made of it, words from which on its values
are sentences, and letters of each that are looked at."""


def list_columns(rows: Sequence[Mapping[str, Any]], most: int = 12) -> list[str]:
    """Names of the rows' columns, the first ones by the alphabet."""
    return sorted({clean_label(str(key)) for row in rows for key in row})[:most]


def ask_for_answers(
    rows: Sequence[Mapping[str, Any]], named: Mapping[str, str], text: str, where: str
) -> None:
    """That no column beside the text may be what is asked or answered.

    Raises:
        DataError: one may.
    """
    present = list_columns(rows)
    question_names = {
        name for field in ("instruction", "prompt", "question") for name in COLUMNS[field]
    }
    doubtful = [
        c
        for c in present
        if c != text
        and (
            c.lower() in question_names | set(RESPONSE_COLUMNS) | MAYBE_ANSWERS
            or _hold_sentences(rows, c)
        )
    ]
    verdicts = next((c for c in doubtful if _are_verdicts(rows, c)), None)
    if verdicts is not None and "label" not in named:
        texts = " --column class=accept" if "accept" in present else ""
        raise DataError(
            f"{verdicts} holds verdicts (accept, reject), not answers",
            where=where,
            next_step=f"--column label={verdicts}{texts} leaves out what was rejected",
        )
    if doubtful and verdicts is None:
        raise DataError(
            f"beside {text} stands {', '.join(doubtful)}: which is the prompt, which the answer?",
            where=where,
            next_step=f"--column question={text} --column response={doubtful[0]}, or "
            f'[data] format = "text" to train on {text} as raw text',
        )


def _hold_sentences(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column holds texts of several words each, and is not about where a text comes from."""
    name = column.strip().lower()
    if name in NO_WORDS or name.endswith(("id", "url", "title", "name")):
        return False
    values = [v for row in rows if not is_missing(v := read_column(row, column))]
    if len(values) < _FEW_TEXTS or not all(isinstance(value, str) for value in values):
        return False
    lengths = sorted(len(split_words(value[:_LOOKED_AT])) for value in values)
    return lengths[len(lengths) // 2] > _FEW_WORDS and 2 * len(set(values)) > len(values)


def _are_verdicts(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column holds what Prodigy's buttons say, and nothing else."""
    values = {read_column(row, column) for row in rows if isinstance(row.get(column), str)}
    return bool(values) and values <= {"accept", "reject", "ignore"}


def hold_classes(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column holds a few short words or small numbers again and again, and is not about
    where the text comes from."""
    name = column.strip().lower()
    if name in NO_WORDS or name.endswith("id"):
        return False
    values = [v for row in rows if not is_missing(v := read_column(row, column))]
    short = all(
        isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 40
        for value in values
    )
    return short and 2 <= len(set(values)) <= 20 and are_classes(values)


def are_classes(values: Sequence[Any]) -> bool:
    """Whether values come again and again, as classes do and addresses do not."""
    return len(values) >= 4 and 2 * len(set(values)) <= len(values)
