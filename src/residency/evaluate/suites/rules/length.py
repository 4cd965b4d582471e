"""Rule: lower and upper limits of the answer's length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.text.words import split_words


class Length(Rule):
    """Lower and upper limits of the answer's length."""

    NAME: ClassVar[str] = "length"
    KIND: ClassVar[str] = "length"

    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)
    unit: Literal["words", "chars", "tokens", "lines"] = "words"
    max_ratio: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _something(self) -> Length:
        if self.min is None and self.max is None and self.max_ratio is None:
            raise ValueError("needs one of the keys 'min', 'max', 'max_ratio'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"'min' ({self.min}) is greater than 'max' ({self.max})")
        if self.max_ratio is not None and self.unit == "tokens":
            raise ValueError("'max_ratio' compares with the reference's text: not in tokens")
        if self.unit == "tokens" and self.field:
            raise ValueError("tokens are counted for the whole answer, not for one field")
        return self

    @property
    def needs_reference(self) -> bool:
        return self.max_ratio is not None

    def _count(self, text: str) -> int:
        if self.unit == "words":
            return len(split_words(text))
        if self.unit == "lines":
            return sum(bool(line.strip()) for line in text.splitlines())
        return len(text)

    def check(self, item: Item) -> Iterable[Check]:
        if self.unit == "tokens":
            count = len(item.response.token_ids)
            if not count and item.text:
                yield leave_unscored("the number of tokens is not known")
                return
        else:
            count = self._count(item.text)
        top = self.max
        if self.max_ratio is not None:
            limit = int(self.max_ratio * max(self._count(item.reference or ""), 1))
            top = limit if top is None else min(top, limit)
        if top is not None and count > top:
            yield fail_check(
                f"{count} {self.unit}, at most {top}",
                item.span(0, len(item.text)),
                value=float(count),
            )
        elif self.min is not None and count < self.min:
            yield fail_check(
                f"{count} {self.unit}, at least {self.min}",
                item.span(0, len(item.text)),
                value=float(count),
                final=False,
            )
        else:
            yield pass_check(value=float(count), final=top is None)
