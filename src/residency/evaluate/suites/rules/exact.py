"""Rule: the answer equals the reference, or one of the accepted answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

from pydantic import model_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rules.numeric import Numeric
from residency.text.dates import find_dates, is_same_date
from residency.text.json_answers import write_canonical
from residency.text.lone_values import find_lone_value, read_list
from residency.text.normal_form import could_become, normalise_answer
from residency.text.number_context import is_denied


class Exact(Rule):
    """The answer equals the reference, or one of the accepted answers.

    With ``mode = "value"`` a reference that is a number, a date or a list in JSON and nothing else is
    compared by what it means: 1,234.50 is 1234.5, and 2024-03-12 is 12 March 2024.
    """

    NAME: ClassVar[str] = "exact"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 5

    mode: Literal["normalised", "raw", "value"] = "normalised"
    answers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _reference_has_the_value(self) -> Exact:
        if self.mode == "value" and self.answers:
            raise ValueError("mode \"value\" compares with the reference; leave 'answers' out")
        return self

    @property
    def needs_reference(self) -> bool:
        return not self.answers

    def check(self, item: Item) -> Iterable[Check]:
        form = str if self.mode == "raw" else normalise_answer
        wanted = self.answers or (item.reference or "",)
        text = form(item.text)
        if text in {form(answer) for answer in wanted}:
            yield pass_check(final=False)
            return
        if self.mode == "value" and (kind := find_lone_value(item.reference or "")):
            yield from _VALUES[kind](item)
            return
        could_grow = any(could_become(text, form(answer)) for answer in wanted)
        yield fail_check(
            f"expected {wanted[0]!r}", item.span(0, len(item.text)), final=not could_grow
        )


_DIGITS = re.compile(r"\d+")


def _compare_dates(item: Item) -> Iterable[Check]:
    wanted = find_dates(item.reference or "")[0]
    dates = find_dates(item.text)
    span = item.span(0, len(item.text))
    if not dates and {str(wanted.year), str(wanted.day)} <= set(_DIGITS.findall(item.text)):
        yield leave_unscored("the day and the year are there, and the month cannot be read")
        return
    if not dates:
        yield fail_check(f"no date, expected {item.reference!r}", span, final=False)
        return
    written = dates[-1]
    shown = item.text[written.start : written.end]
    same = is_same_date(written, wanted) if not is_denied(item.text, written.start) else False
    if same is None:
        yield leave_unscored(f"{shown!r}: the date can be read in two ways")
    elif same:
        yield pass_check(final=False)
    else:
        evidence = item.span(written.start, written.end, "date")
        yield fail_check(f"{shown!r}, expected {item.reference!r}", evidence, final=False)


def _compare_lists(item: Item) -> Iterable[Check]:
    wanted, written = read_list(item.reference or ""), read_list(item.text)
    if written is not None and write_canonical(written, normalise_answer) == write_canonical(
        wanted, normalise_answer
    ):
        yield pass_check(final=False)
        return
    span = item.span(0, len(item.text))
    yield fail_check(f"expected {item.reference!r}", span, final=written is not None)


_VALUES: dict[str, Callable[[Item], Iterable[Check]]] = {
    "number": Numeric().check,
    "date": _compare_dates,
    "list": _compare_lists,
}
