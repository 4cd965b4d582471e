"""Rule: the answer equals the reference, or one of the accepted answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from residency.evaluate.suites.check_result import Check, Item, fail_check, pass_check
from residency.evaluate.suites.rule import Rule
from residency.text.normal_form import could_become, normalise_answer


class Exact(Rule):
    """The answer equals the reference, or one of the accepted answers."""

    NAME: ClassVar[str] = "exact"
    KIND: ClassVar[str] = "wrong"
    VERSION: ClassVar[int] = 5

    mode: Literal["normalised", "raw"] = "normalised"
    answers: tuple[str, ...] = ()

    @property
    def needs_reference(self) -> bool:
        return not self.answers

    def check(self, item: Item) -> Iterable[Check]:
        form = normalise_answer if self.mode == "normalised" else str
        wanted = self.answers or (item.reference or "",)
        text = form(item.text)
        if text in {form(answer) for answer in wanted}:
            yield pass_check(final=False)
            return
        could_grow = any(could_become(text, form(answer)) for answer in wanted)
        yield fail_check(
            f"expected {wanted[0]!r}", item.span(0, len(item.text)), final=not could_grow
        )
