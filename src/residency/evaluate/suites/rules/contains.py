"""Rule: texts that must, or must not, stand in the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field, model_validator

from residency.evaluate.suites.check_result import Check, Item, fail_check, pass_check
from residency.evaluate.suites.literal_patterns import literal_pattern
from residency.evaluate.suites.rule import Rule, Word


class Contains(Rule):
    """Texts that must, or must not, stand in the answer, as whole words."""

    NAME: ClassVar[str] = "contains"
    KIND: ClassVar[str] = "contains"
    VERSION: ClassVar[int] = 3

    all_of: tuple[Word, ...] = Field((), alias="all")
    any_of: tuple[Word, ...] = Field((), alias="any")
    none_of: tuple[Word, ...] = Field((), alias="none")
    reference: bool = False
    whole_words: bool = True
    """``false``: also inside longer words, as "5" stands in "15"."""
    case: bool = False

    @model_validator(mode="after")
    def _require_something(self) -> Contains:
        if not (self.all_of or self.any_of or self.none_of or self.reference):
            raise ValueError("needs one of the keys 'all', 'any', 'none', 'reference'")
        return self

    @property
    def needs_reference(self) -> bool:
        return self.reference

    def check(self, item: Item) -> Iterable[Check]:
        unwanted = [(text, hit) for text in self.none_of for hit in self._find(text, item.text)]
        if unwanted:
            spans = [item.span(*hit.span(), "unwanted") for _, hit in unwanted]
            # A hit at the very end may be the beginning of a longer word.
            final = not self.whole_words or any(h.end() < len(item.text) for _, h in unwanted)
            yield fail_check(f"contains {unwanted[0][0]!r}", *spans, final=final)
            return
        wanted = [*self.all_of, *([item.reference or ""] if self.reference else [])]
        missing = [text for text in wanted if not self._find(text, item.text)]
        if missing:
            yield fail_check(f"does not contain {', '.join(map(repr, missing))}", final=False)
        elif self.any_of and not any(self._find(text, item.text) for text in self.any_of):
            yield fail_check(f"contains none of {list(self.any_of)}", final=False)
        else:
            stays = all(self._stays(text, item.text) for text in wanted) and (
                not self.any_of or any(self._stays(text, item.text) for text in self.any_of)
            )
            yield pass_check(final=stays and not self.none_of)

    def _stays(self, text: str, answer: str) -> bool:
        """Whether the text would still stand there if the answer went on: a hit at its end may
        become part of a longer word."""
        hits = self._find(text, answer)
        return any(not self.whole_words or hit.end() < len(answer) for hit in hits)

    def _find(self, text: str, answer: str) -> list[re.Match[str]]:
        pattern = literal_pattern(text, whole_words=self.whole_words)
        return list(re.finditer(pattern, answer, 0 if self.case else re.IGNORECASE))
