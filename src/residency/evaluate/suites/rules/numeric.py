"""Rule: a number of the answer is near the wanted one."""

from __future__ import annotations

from collections.abc import Iterable
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
from residency.text.number_words import find_number_words
from residency.text.numbers import Number, drop_labels, find_numbers, is_near


class Numeric(Rule):
    """A number of the answer is within ``max(abs, rel · |wanted|)`` of the wanted one.

    Numbers are read as people write them (``5,99``, ``1 234``, ``1'000``, ``12km``); one that can
    be read in two ways, of which only one is right, is unscored. An answer without digits may
    write it as words; the marks of a list's entries are no numbers of the answer.
    """

    NAME: ClassVar[str] = "numeric"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 5

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
        if wanted is None or wanted.value is None:
            reason = wanted.reason if wanted else ""
            yield leave_unscored(f"the reference has no number{reason and f' ({reason})'}")
            return
        written = self._choose_number(item.text, context)
        if written is None:
            span = item.span(0, len(item.text))
            yield fail_check(f"no number, expected {wanted.amount:.12g}", span, final=False)
            return
        final = self.which == "first" and written.end < len(item.text)
        evidence = item.span(written.start, written.end, "number")
        tolerance = max(self.abs_, self.rel * abs(wanted.value))
        near = is_near(written, wanted, tolerance)
        if near is None:
            reason = written.reason or "the number can be read in two ways"
            yield leave_unscored(f"{item.text[written.start : written.end]!r}: {reason}")
        elif near:
            yield pass_check(value=written.value, final=final)
        else:
            message = f"{written.amount:.12g}, expected {wanted.amount:.12g}"
            yield fail_check(message, evidence, value=written.value, final=final)

    def _find_wanted(self, item: Item) -> Number | None:
        if self.value is not None:
            return Number(self.value, 0, 0)
        return self._choose_number(item.reference or "", (item.example.prompt_text,))

    def _choose_number(self, text: str, context: Iterable[str]) -> Number | None:
        numbers = drop_labels(find_numbers(text, context=context), text)
        numbers = numbers or [Number(float(v), a, b) for v, a, b in find_number_words(text)]
        return numbers[-1 if self.which == "last" else 0] if numbers else None
