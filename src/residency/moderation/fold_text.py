"""Text as a reader sees it: without invisible characters, in the usual form of each letter and digit.

``john＠shop.com``, a card in Arabic digits or a key with a zero-width space in it are seen so.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class FoldedText:
    """A folded text; ``places[n]`` is where its character ``n`` stands in the original, and the last
    one is the original's length."""

    text: str
    places: tuple[int, ...] | None

    def find_span(self, start: int, end: int) -> tuple[int, int]:
        """A span of the folded text as a span of the original."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold_text(text: str) -> FoldedText:
    """The text with each character folded by itself (NFKC, decimal digits as 0–9, every dash as -)."""
    if text.isascii():
        return FoldedText(text, None)
    out: list[str] = []
    places: list[int] = []
    for position, character in enumerate(text):
        for folded in _fold_character(character):
            out.append(folded)
            places.append(position)
    return FoldedText("".join(out), (*places, len(text)))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # zero-width characters, soft hyphens, marks
        return ""
    if (
        category == "Pd" or character == "\u2212"
    ):  # the hyphens and dashes between groups of a number
        return "-"
    digit = unicodedata.decimal(character, None)
    return str(digit) if digit is not None else unicodedata.normalize("NFKC", character)
