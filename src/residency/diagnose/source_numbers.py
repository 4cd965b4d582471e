"""Numbers of an answer against those of its source: roundings that are right, numbers swapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from residency.nouns.finding import Span
from residency.text.function_words import FUNCTION_WORDS
from residency.text.numbers import find_numbers
from residency.text.words import split_words

_HEDGE = re.compile(
    r"(?:\b(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|ca\.?|close to"
    r"|over|more than|under|less than|up to|at least|at most)|[~≈])\s*[$€£]?\s*$",
    re.IGNORECASE,
)
_HEDGED, _UNHEDGED = 0.1, 0.025
"""How far a rounding may lie from the number it rounds, relative to it."""
_EMPTY = FUNCTION_WORDS | {"from"}
_CLAUSE = re.compile(r"[.!?;\n]+|,\s|\s[-–—]\s|\b(?:and|but|while|whereas|then)\b")


@dataclass(frozen=True)
class _Placed:
    """A number's value with its scale, its position, and the words of its clause."""

    value: float
    start: int
    end: int
    words: frozenset[str]


def is_rounding(text: str, start: int, end: int, source: str) -> bool:
    """Whether the number at ``start:end`` of ``text`` rounds one of the source.

    It has the value of a source's number rounded to its digits, and lies within 2.5 % of it,
    or within 10 % after "about" and its like.
    """
    hedged = bool(_HEDGE.search(text[max(0, start - 24) : start]))
    for mine in _place_numbers(text):
        if mine.start < end and start < mine.end:
            return any(
                _is_rounded(mine.value, theirs.value, hedged) for theirs in _place_numbers(source)
            )
    return False


def _is_rounded(value: float, exact: float, hedged: bool) -> bool:
    if not exact or not value or (value < 0) != (exact < 0):
        return False
    if abs(value - exact) > (_HEDGED if hedged else _UNHEDGED) * abs(exact):
        return False
    digits = len(f"{abs(value):.12g}".replace(".", "").strip("0")) or 1
    exact_digits = len(f"{abs(exact):.12g}".replace(".", "").strip("0")) or 1
    if digits >= exact_digits:
        return False
    unit = 10 ** (len(str(int(abs(exact)))) - digits) if abs(exact) >= 1 else 0.0
    return abs(value - exact) <= max(unit, 1e-12) if unit else True


def find_swapped(text: str, source: str) -> Iterator[Span]:
    """Numbers of the source that the answer gives to something else of the source.

    A number is swapped when its clause shares no word with any clause of the source that holds this
    number, and two words or more with a clause that holds another one; words that stand by several
    numbers, such as a unit, count for nothing.
    """
    there = list(_place_numbers(source))
    if len({number.value for number in there}) < 2:
        return
    values: dict[str, set[float]] = {}
    for number in there:
        for word in number.words:
            values.setdefault(word, set()).add(number.value)
    # A word that stands by several numbers, such as their unit, tells none from another.
    telling = {word for word, numbers in values.items() if len(numbers) == 1}
    for mine in _place_numbers(text):
        words = mine.words & telling
        same_value = [n for n in there if n.value == mine.value]
        if not same_value or any(words & n.words for n in same_value):
            continue
        others = [n for n in there if n.value != mine.value and len(words & n.words) >= 2]
        if len({n.value for n in others}) == 1:
            yield Span(
                mine.start,
                mine.end,
                f"number {text[mine.start : mine.end]!r} belongs to something else in the source",
            )


def _place_numbers(text: str) -> list[_Placed]:
    clauses = []
    start = 0
    for match in _CLAUSE.finditer(text):
        clauses.append((start, match.start()))
        start = match.end()
    clauses.append((start, len(text)))
    placed = []
    for number in find_numbers(text):
        if number.amount is None:
            continue
        around = next((text[a:b] for a, b in clauses if a <= number.start < b), "")
        words = frozenset(
            w for w in split_words(around) if w not in _EMPTY and not any(c.isdigit() for c in w)
        )
        placed.append(_Placed(number.amount, number.start, number.end, words))
    return placed
