"""Questions with choices and the right one: ``multiple-choice``."""

from __future__ import annotations

import itertools
import string
from collections.abc import Mapping
from typing import Any, ClassVar

from residency.data.reading.clean_text import RowError, clean_text, is_missing
from residency.data.reading.layouts.layout import Layout, LayoutRow, RowFields
from residency.data.reading.layouts.single_turn import read_question
from residency.nouns.example import Message

_SERIES = tuple(
    [pattern.format(sign) for sign in signs]
    for signs in ("abcdefghij", "0123456789", "123456789")
    for pattern in ("choice{}", "choice_{}", "option{}", "option_{}", "op{}", "{}")
    if pattern != "{}" or signs[0] == "a"
)
"""Names of columns that hold a choice each, in order: ``choice0``, ``option_a``, ``A``."""
_LEAST_COLUMNS = 3
_CHOICE_COLUMNS = tuple(
    write(name)
    for series in _SERIES
    for name in series
    for write in (str.lower, str.upper, str.title)
)


class MultipleChoiceLayout(Layout):
    """The choices become lines of the prompt, ``A. …``; the answer is the letter of the right one."""

    name = "multiple-choice"
    needs = ("question",)
    may = ("choices", "input", "correct")
    also_reads = _CHOICE_COLUMNS
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "question": ("question", "query", "ctx", "prompt"),
        "choices": ("choices", "options", "endings"),
        "correct": ("answer", "answerkey", "answer_key", "label", "answer_idx", "answer_index"),
    }
    about = (
        "`question`, `choices` (or `options`, `endings`; or columns `A`, `B`, … or `choice0`, …), and "
        "`answer` as a letter, a number from 0 or text: the choices stand in the prompt, the letter is the "
        "answer"
    )
    asks = True

    def fits_row(self, row: RowFields) -> bool:
        """A text, and at least two choices."""
        choices, _ = _find_choices(row)
        return isinstance(row.value("question"), str) and isinstance(choices, list | Mapping)

    def read_row(self, row: RowFields) -> LayoutRow:
        """Question and choices, then the letter.

        Raises:
            RowError: fewer than two choices, or the answer is none of them.
        """
        field = row.column("choices")
        listed, first = _find_choices(row)
        choices = _read_choices(listed, field)
        question = read_question(row, "question")
        lines = "\n".join(f"{label}. {text}" for label, text in choices.items())
        user = (
            Message("user", question.content, input=f"{question.input}\n{lines}")
            if question.input
            else Message("user", f"{question.content}\n{lines}")
        )
        right = row.value("correct")
        if is_missing(right):
            return LayoutRow((user,))
        plain = not any(isinstance(c, int) for c in _list_texts(listed))
        if first and str(right).strip().isdecimal():
            right, plain = int(right) - int(first), True
        label = _find_label(right, choices, plain, row.column("correct"))
        return LayoutRow((user, Message("assistant", label)))


def _find_choices(row: RowFields) -> tuple[Any, str]:
    """The list of choices, or those of columns that hold one each; None where there are none.

    Beside it the number of the first column where columns are numbered, since a number then names one.
    """
    if row.value("choices") is not None:
        return row.value("choices"), ""
    plain = {str(key).strip().lower().replace(" ", "_"): value for key, value in row.values.items()}
    for series in _SERIES:
        texts = list(itertools.takewhile(lambda v: not is_missing(v), map(plain.get, series)))
        right = str(row.value("correct") or "").strip().lower()
        named = len(texts) == 2 and right in (series[0][-1], series[1][-1])
        if (named or len(texts) >= _LEAST_COLUMNS) and row.value("correct") is not None:
            first = series[0][-1]
            return [str(text) for text in texts], first if first.isdecimal() else ""
    return None, ""


def _list_texts(value: Any) -> list[Any]:
    """The choices as they stand in the file."""
    if isinstance(value, Mapping):
        texts = value.get("text")
        return list(texts) if isinstance(texts, list) else list(value.values())
    return [choice.get("text") if isinstance(choice, Mapping) else choice for choice in value]


def _list_labels(value: Any, count: int) -> list[str]:
    """The labels that the file gives the choices, else letters."""
    if isinstance(value, Mapping):
        labels = value.get("label") if isinstance(value.get("text"), list) else list(value)
    else:
        labels = [c.get("label") if isinstance(c, Mapping) else None for c in value]
    if isinstance(labels, list) and len(labels) == count and not any(map(is_missing, labels)):
        return [str(label).strip() for label in labels]
    return list(string.ascii_uppercase[:count])


def _read_choices(value: Any, field: str) -> dict[str, str]:
    """Text by label.

    Raises:
        RowError: fewer than two, more than 26, or labels that repeat.
    """
    texts = _list_texts(value)
    if not 2 <= len(texts) <= len(string.ascii_uppercase):
        raise RowError(f"2 to 26 choices are expected, found {len(texts)}", field)
    if not all(isinstance(text, str | int | float) for text in texts):
        raise RowError("a choice is no text", field)
    labels = _list_labels(value, len(texts))
    if len(set(labels)) < len(labels):
        raise RowError("labels of choices repeat", field)
    return {
        label: clean_text(str(text).strip(), field)
        for label, text in zip(labels, texts, strict=True)
    }


def _find_label(right: Any, choices: Mapping[str, str], plain: bool, field: str) -> str:
    """The label of the right choice, told by label, text, or number from 0.

    Args:
        plain: no choice is a number in the file, so that a number counts choices.

    Raises:
        RowError: it is none of them.
    """
    labels, word = list(choices), str(right).strip()
    counted = isinstance(right, int) and not isinstance(right, bool) and plain
    if not counted:
        if word in choices:
            return word
        if word.upper() in choices:
            return word.upper()
        texts = [label for label, text in choices.items() if text.casefold() == word.casefold()]
        if len(texts) == 1:
            return texts[0]
    if word.isdecimal() and len(word) < 4 and int(word) < len(labels):
        return labels[int(word)]
    raise RowError(f"{word[:60]!r} is none of the choices {', '.join(labels)}", field)
