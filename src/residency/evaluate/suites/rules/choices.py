"""Rule: the answer is one of a fixed set, and the right one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field, model_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.format_kind import FORMAT
from residency.evaluate.suites.rule import Rule
from residency.nouns.example import Example
from residency.text.normal_form import could_become, normalise_answer


class Choices(Rule):
    """The answer is one of a fixed set, and (with ``compare``) the reference's: one outside the set
    breaks the format and is wrong."""

    NAME: ClassVar[str] = "choices"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 5

    choices: tuple[str, ...] = Field(min_length=2)
    compare: bool = True

    @model_validator(mode="after")
    def _choices_can_be_told_apart(self) -> Choices:
        known = [normalise_answer(choice) for choice in self.choices]
        if "" in known:
            raise ValueError("a choice is empty")
        twice = next(
            (c for c, form in zip(self.choices, known, strict=True) if known.count(form) > 1), None
        )
        if twice is not None:
            raise ValueError(f"{twice!r} and another choice are the same without case and marks")
        return self

    @property
    def _format_kind(self) -> str:
        return f"{FORMAT}:{self.field}" if self.field else FORMAT

    def list_kinds(self, example: Example) -> tuple[str, ...]:
        return (self._format_kind, self.default_kind) if self.compare else (self._format_kind,)

    def check(self, item: Item) -> Iterable[Check]:
        known = {normalise_answer(choice): choice for choice in self.choices}
        text = normalise_answer(item.text)
        span = item.span(0, len(item.text))
        could_grow = text not in known and any(could_become(text, choice) for choice in known)
        if text in known:
            yield Check("pass", kind=self._format_kind, final=False)
        else:
            message = f"{item.text.strip()[:80]!r} is none of {list(self.choices)}"
            yield fail_check(message, span, kind=self._format_kind, final=not could_grow)
        if not self.compare:
            return
        if item.reference is None:
            yield leave_unscored("the example has no reference for this rule")
        elif text == normalise_answer(item.reference):
            yield pass_check(final=False)
        else:
            written = repr(known.get(text, item.text.strip()[:80]))
            message = f"{written}, expected {item.reference.strip()!r}"
            yield fail_check(message, span, final=text not in known and not could_grow)
