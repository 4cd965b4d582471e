"""Rule: the facts of the reference stand in the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from residency.evaluate.suites.check_result import (
    Check,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.text.facts import find_facts, is_stated


class Facts(Rule):
    """The numbers, dates, codes and names of the reference stand in the answer.

    Facts that the prompt states already need not be said again; a reference without any other
    leaves the answer unscored.
    """

    NAME: ClassVar[str] = "facts"
    KIND: ClassVar[str] = "missing_fact"
    VERSION: ClassVar[int] = 3
    NEEDS_REFERENCE: ClassVar[bool] = True

    share: float = Field(1.0, gt=0, le=1)
    """Which share of the facts must be there."""
    names: bool = True
    """Whether names count (false where a language writes every noun with a capital)."""

    def check(self, item: Item) -> Iterable[Check]:
        reference, prompt = item.reference or "", item.example.prompt_text
        prompt_facts = find_facts(prompt, names=self.names)
        wanted = [
            fact
            for fact in find_facts(reference, names=self.names, context=(prompt,))
            if not is_stated(fact, prompt, prompt_facts)
        ]
        if not wanted:
            yield leave_unscored("the reference states no number, date, code or name of its own")
            return
        written = find_facts(item.text, names=self.names, context=(prompt, reference))
        missing = [fact for fact in wanted if not is_stated(fact, item.text, written)]
        share = 1 - len(missing) / len(wanted)
        if share >= self.share:
            yield pass_check(value=share)
            return
        listed = ", ".join(f"{fact.kind} {fact.written!r}" for fact in missing[:6])
        yield fail_check(f"not in the answer: {listed}", value=share, final=False)
