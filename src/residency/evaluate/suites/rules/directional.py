"""Rule: the changed prompt moves a field, a number or the length the stated way (CheckList DIR)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from residency.evaluate.suites.answer_agreement import NOT_ALONE, series_key
from residency.evaluate.suites.check_result import (
    Check,
    Context,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.text.answer_fields import parse_answer
from residency.text.normal_form import normalise_answer
from residency.text.words import split_words

_LEVEL = Literal["higher", "not_lower", "lower", "not_higher", "different", "same"]
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


class Directional(Rule):
    """CheckList DIR: the changed prompt moves a field, a number or the length the stated way.

    The finding stands on the answer to the example tagged ``variant``.
    """

    NAME: ClassVar[str] = "directional"
    KIND: ClassVar[str] = "direction"

    base: str
    variant: str
    of: str
    order: tuple[str, ...] = ()
    expect: _LEVEL

    @model_validator(mode="after")
    def _ordered(self) -> Directional:
        if self.expect not in {"different", "same"} and not self.order and self.of not in _FIGURES:
            raise ValueError(f"expect = {self.expect!r} on a field needs the key 'order'")
        return self

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        bases: dict[Hashable, Item] = {}
        for item in items:
            if self.base in item.example.tags and item.example.group:
                bases.setdefault(series_key(item), item)
        out: list[list[Check]] = []
        for item in items:
            if self.variant not in item.example.tags:
                out.append([])
                continue
            base = bases.get(series_key(item)) if item.example.group else None
            out.append([self._compare(item, base) if base else leave_unscored(NOT_ALONE)])
        return out

    def _compare(self, item: Item, base: Item) -> Check:
        before, after = self._level(base), self._level(item)
        if before is None or after is None:
            return leave_unscored(f"{self.of} cannot be read from both answers")
        (a, shown_a), (b, shown_b) = before, after
        ok = {
            "higher": b > a,
            "not_lower": b >= a,
            "lower": b < a,
            "not_higher": b <= a,
            "different": shown_a != shown_b,
            "same": shown_a == shown_b,
        }[self.expect]
        message = f"{self.of}: {shown_a} → {shown_b}, expected {self.expect.replace('_', ' ')}"
        return pass_check(message) if ok else fail_check(message, item.span(0, len(item.text)))

    def _level(self, item: Item) -> tuple[float, str] | None:
        """The figure, and how it is shown."""
        if self.of in _FIGURES:
            if item.cut:
                return None
            if self.of == "length":
                count = len(split_words(item.text))
                return float(count), str(count)
            numbers = _NUMBER.findall(item.text)
            return (float(numbers[-1]), numbers[-1]) if numbers else None
        parsed = parse_answer(item.text, self.parse)
        value = parsed.fields.get(self.of.casefold())
        if value is None or (item.cut and parsed.last == self.of.casefold()):
            return None
        shown = normalise_answer(value.value)
        if not self.order:
            return 0.0, shown
        levels = [normalise_answer(level) for level in self.order]
        return (float(levels.index(shown)), shown) if shown in levels else None


_FIGURES = {"length", "number"}
