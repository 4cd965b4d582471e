"""Rule: the answer does not deny what the reference says, nor say what it denies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from residency.evaluate.suites.check_result import Check, Item, fail_check, pass_check
from residency.evaluate.suites.rule import Rule
from residency.text.negation import find_flipped


class Negation(Rule):
    """No word is affirmed by the reference and denied by the answer, or the other way round.

    It sees negations by words in six languages and within a clause; an answer that says the
    opposite in other words ("closed" for "open") passes, and a right answer that puts a matter
    the other way round may fail.
    """

    NAME: ClassVar[str] = "negation"
    KIND: ClassVar[str] = "negated"
    VERSION: ClassVar[int] = 1
    NEEDS_REFERENCE: ClassVar[bool] = True

    words: int = Field(1, ge=1)
    """From how many such words on the answer fails."""

    def check(self, item: Item) -> Iterable[Check]:
        flipped = find_flipped(item.reference or "", item.text)
        if len(flipped) < self.words:
            yield pass_check(final=False)
            return
        listed = ", ".join(map(repr, flipped[:5]))
        yield fail_check(f"denied on one side alone: {listed}", final=False)
