"""Rule: something was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from residency.evaluate.suites.check_result import Check, Item, fail_check, pass_check
from residency.evaluate.suites.rule import Rule


class NonEmpty(Rule):
    """Something was written."""

    NAME: ClassVar[str] = "non_empty"
    KIND: ClassVar[str] = "empty"

    def check(self, item: Item) -> Iterable[Check]:
        yield pass_check() if item.text.strip() else fail_check("the answer is empty", final=False)
