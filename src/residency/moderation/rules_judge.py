"""Rules that somebody else brings, e.g. those of the project's suite that need no reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from residency.config.moderation import JudgeGroup
from residency.moderation.judge import Hit
from residency.nouns.example import Message

BreaksRule = Callable[[Sequence[Message]], str]
"""From a conversation to what its last message does wrong; empty where it does nothing wrong."""


class RulesJudge:
    """Each rule that a complete text breaks is a hit over all of it.

    Args:
        rules: name → rule.
    """

    group: JudgeGroup = "rules"

    def __init__(self, rules: Mapping[str, BreaksRule], version: str) -> None:
        self._rules = dict(rules)
        self.version = version

    def judge(self, messages: Sequence[Message]) -> list[Hit]:
        """Hits of the kind ``rule NAME``."""
        length = len(messages[-1].text)
        return [
            Hit(f"rule {name}", "rules", 0, length)
            for name, breaks in self._rules.items()
            if breaks(messages)
        ]
