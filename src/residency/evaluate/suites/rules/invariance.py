"""Rule: the answer to a changed prompt equals the answer to the group's base prompt (CheckList INV)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from residency.evaluate.suites.answer_agreement import NOT_ALONE, AgreementRule, series_key
from residency.evaluate.suites.check_result import (
    Check,
    Context,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)


class Invariance(AgreementRule):
    """CheckList INV: the answer to a changed prompt equals the answer to the group's base prompt.

    The base is the group's example tagged ``base``, or its first example.
    """

    NAME: ClassVar[str] = "invariance"
    KIND: ClassVar[str] = "invariance"

    base: str = ""

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        keys, reasons, vectors = self._judged(items, context)
        bases: dict[Hashable, int] = {}
        for i, item in enumerate(items):
            if item.example.group and (not self.base or self.base in item.example.tags):
                bases.setdefault(series_key(item), i)
        out: list[list[Check]] = []
        for i, item in enumerate(items):
            base = bases.get(series_key(item)) if item.example.group else None
            if base is None:
                out.append([leave_unscored(NOT_ALONE)])
            elif items[base].example.id == item.example.id:
                out.append([])  # The base is what the others are compared with.
            elif reasons[i] or reasons[base]:
                out.append([leave_unscored(reasons[i] or f"the base answer: {reasons[base]}")])
            elif self._agree(i, base, keys, vectors):
                out.append([pass_check()])
            else:
                difference = self._difference(i, base, items)
                out.append([fail_check(difference, item.span(0, len(item.text)))])
        return out
