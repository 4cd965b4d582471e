"""What a judge of moderation is, and what it says of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from residency.config.moderation import JudgeGroup
from residency.nouns.example import Message


@dataclass(frozen=True)
class Hit:
    """What a judge saw in a text.

    Attributes:
        kind: a fixed short name, e.g. ``email address``.
        group: under which settings name it.
        start, end: the characters concerned. score: 0 to 1, how sure the judge is.
    """

    kind: str
    group: JudgeGroup
    start: int
    end: int
    score: float = 1.0


class TextJudge(Protocol):
    """Judges a piece of text by itself: a sentence, a line."""

    group: JudgeGroup
    version: str

    def find(self, text: str) -> list[Hit]:
        """Hits in the order of the text."""
        ...


class WholeJudge(Protocol):
    """Judges a whole text or conversation, which has to be complete."""

    group: JudgeGroup
    version: str

    def judge(self, messages: Sequence[Message]) -> list[Hit]:
        """Hits about the last message, which is the text in question."""
        ...
