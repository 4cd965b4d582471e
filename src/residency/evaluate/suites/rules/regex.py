"""Rule: a pattern that must, or must not, match."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Literal

import regex
from pydantic import field_validator

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    pass_check,
    raised_check,
)
from residency.evaluate.suites.rule import Rule

SECONDS = 1.0
"""Longest search in one answer. A pattern such as ``(a+)+$`` can take hours on forty letters."""


class Regex(Rule):
    """A pattern (Python's syntax) that must, or must not, match."""

    NAME: ClassVar[str] = "regex"
    KIND: ClassVar[str] = "format"

    pattern: str
    match: Literal["search", "whole"] = "search"
    forbid: bool = False
    case: bool = True

    @field_validator("pattern")
    @classmethod
    def _compile_once(cls, value: str) -> str:
        if not value:
            raise ValueError("an empty pattern is found in every answer")
        try:
            regex.compile(value)
        except regex.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @cached_property
    def _compiled(self) -> Any:
        return regex.compile(self.pattern, 0 if self.case else regex.IGNORECASE)

    def check(self, item: Item) -> Iterable[Check]:
        try:
            if self.match == "whole":
                hit = self._compiled.fullmatch(item.text.strip(), timeout=SECONDS)
            else:
                hit = self._compiled.search(item.text, timeout=SECONDS)
        except TimeoutError:
            reason = f"the pattern {self.pattern!r} took longer than {SECONDS:g} s on one answer"
            yield raised_check(self.detector, TimeoutError(reason), kind=self.default_kind)
            return
        span = item.span(0, len(item.text))
        if hit and self.match == "search":
            span = item.span(*hit.span())
        # A match stays one when the text goes on, unless it reaches the end ($, longer words).
        after = item.text[hit.end() :].strip() if hit else ""
        stays = self.match == "search" and bool(after)
        if bool(hit) != self.forbid:
            yield pass_check(final=stays)
            return
        verb = "matches" if self.forbid else "does not match"
        yield fail_check(f"{verb} {self.pattern!r}", span, final=stays)
