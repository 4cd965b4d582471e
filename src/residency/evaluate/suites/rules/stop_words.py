"""Rule: words or phrases that must not appear."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import ClassVar

from pydantic import Field

from residency.evaluate.suites.check_result import Check, Item, fail_check, pass_check
from residency.evaluate.suites.literal_patterns import literal_pattern
from residency.evaluate.suites.rule import Rule, Word


class StopWords(Rule):
    """Words or phrases that must not appear."""

    NAME: ClassVar[str] = "stop_words"
    KIND: ClassVar[str] = "stop_words"
    VERSION: ClassVar[int] = 3

    words: tuple[Word, ...] = Field(min_length=1)
    whole_words: bool = True
    case: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.words, key=len, reverse=True)
        body = "|".join(literal_pattern(w, whole_words=self.whole_words) for w in longest_first)
        return re.compile(body, 0 if self.case else re.IGNORECASE)

    def check(self, item: Item) -> Iterable[Check]:
        hits = list(self._pattern.finditer(item.text))
        if not hits:
            yield pass_check(final=False)
            return
        spoken = sorted({hit.group().casefold() for hit in hits})
        spans = [item.span(*hit.span(), "stop word") for hit in hits]
        # A hit at the very end may be the beginning of a longer word.
        final = any(hit.end() < len(item.text) for hit in hits) or not self.whole_words
        message = f"says {', '.join(map(repr, spoken))}"
        yield fail_check(message, *spans, value=float(len(hits)), final=final)
