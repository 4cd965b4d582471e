"""What a test suite is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from residency.evaluate.suites.extract_answer import EXTRACTION, AnswerExtraction
from residency.evaluate.suites.rule import Rule
from residency.nouns.content_id import content_id
from residency.nouns.example import Example


@dataclass(frozen=True)
class Suite:
    """Rules, and the suite's items to be answered besides the project's.

    ``source`` is the file, for messages. ``hash`` speaks of rules and items. ``primary`` names the
    metric that models are compared by (empty: chosen by the rules); ``extract`` is how the answer
    is read from a response (None: all of it is the answer).
    """

    name: str
    rules: tuple[Rule, ...]
    examples: tuple[Example, ...] = ()
    source: str = ""
    primary: str = ""
    extract: AnswerExtraction | None = None

    @cached_property
    def hash(self) -> str:
        """Content hash of what the rules are, whom they concern and how grave they are."""
        rules = [
            [r.detector, r.default_kind, r.version, r.tags, r.examples, r.severity]
            for r in self.rules
        ]
        body: dict[str, Any] = {"rules": rules, "items": [e.id for e in self.examples]}
        if self.primary:
            body["primary"] = self.primary
        if self.extract is not None:
            body["extract"] = [self.extract.way, self.extract.argument, EXTRACTION]
        return content_id("suite", body)

    @property
    def needs_embedder(self) -> bool:
        """Whether a rule compares meanings."""
        return any(map(needs_embedder, self.rules))


def needs_embedder(rule: Rule) -> bool:
    """Whether a rule compares meanings."""
    return rule.NAME == "similarity" or getattr(rule, "compare", "") == "similarity"
