"""Rule: a number of the answer is near the wanted one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rules.language import detect_language
from residency.text.ambiguous_number_words import explain_other_meaning
from residency.text.number_context import (
    Reading,
    compare_readings,
    drop_denied,
    drop_tolerances,
    find_roman,
    is_denied,
    read_around,
)
from residency.text.number_words import find_number_words
from residency.text.numbers import Number, drop_labels, find_numbers, read_parts


class Numeric(Rule):
    """A number of the answer is within ``max(abs, rel · |wanted|)`` of the wanted one.

    Numbers are read as people write them (``5,99``, ``1 234``, ``1'000``, ``12km``); one that can
    be read in two ways, of which only one is right, is unscored, and so is a range or a bound that
    holds the wanted number (``5-10``, ``<5``), and the same number of another unit that cannot be
    converted. One that is denied (*not 5*) is not given. An answer without digits may write it as words; the marks of a list's entries are no
    numbers of the answer.
    """

    NAME: ClassVar[str] = "numeric"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 8

    value: float | None = None
    abs_: float = Field(0.0, ge=0, alias="abs")
    rel: float = Field(0.0, ge=0)
    which: Literal["last", "first"] = "last"

    @property
    def needs_reference(self) -> bool:
        return self.value is None

    def check(self, item: Item) -> Iterable[Check]:
        context = (item.example.prompt_text, item.reference or "")
        wanted = self._find_wanted(item)
        if wanted is None or wanted.number.value is None:
            reason = wanted.number.reason if wanted else ""
            yield leave_unscored(f"the reference has no number{reason and f' ({reason})'}")
            return
        written = self._choose_number(item.text, context)
        if written is None:
            span = item.span(0, len(item.text))
            message = f"no number, expected {wanted.number.amount:.12g}"
            yield fail_check(message, span, final=False)
            return
        number = written.number
        final = self.which == "first" and number.end < len(item.text)
        tolerance = max(self.abs_, self.rel * abs(wanted.number.value))
        near, reason = compare_readings(written, wanted, tolerance)
        if near is not False and is_denied(item.text, number.start):
            span = item.span(number.start, number.end, "number")
            yield fail_check(f"{written.shown!r} is denied", span, final=False)
        elif near is None:
            yield leave_unscored(f"{written.shown!r}: {reason}")
        elif near:
            yield pass_check(value=number.value, final=final)
        else:
            shown = written.shown if number.amount is None else f"{number.amount:.12g}"
            evidence = item.span(number.start, number.end, "number")
            message = f"{shown}, expected {wanted.number.amount:.12g}"
            yield fail_check(message, evidence, value=number.value, final=final)

    def _find_wanted(self, item: Item) -> Reading | None:
        if self.value is not None:
            return Reading(Number(self.value, 0, 0))
        return self._choose_number(item.reference or "", (item.example.prompt_text,))

    def _choose_number(self, text: str, context: Iterable[str]) -> Reading | None:
        numbers = find_numbers(text, context=context)
        read = drop_tolerances(drop_labels(numbers, text), text)
        read = drop_denied(read or _read_words(text, context), text)
        chosen = read[-1 if self.which == "last" else 0] if read else find_roman(text)
        return read_around(text, numbers or read, chosen) if chosen else None


def _read_words(text: str, context: Iterable[str]) -> list[Number]:
    """Numbers written as words; those that may be other words only where nothing else is left."""

    def find_language() -> str | None:
        source = " ".join(context).strip()
        return detect_language(source) if any(map(str.isalpha, source)) else None

    clear, left_open = [], []
    for value, start, end in find_number_words(text):
        number = Number(value, start, end, parts=read_parts(text, end), scale_end=end)
        if reason := explain_other_meaning(text, start, end, find_language):
            left_open.append(replace(number, value=None, alternative=value, reason=reason))
        else:
            clear.append(number)
    return clear or left_open
