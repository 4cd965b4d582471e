"""What stands around a number and says that it is not simply that number: ``5-10``, ``<5``, ``5±1``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from residency.text.negation import is_negator
from residency.text.number_equality import is_near
from residency.text.numbers import TOO_GREAT, Number
from residency.text.units import Unit, read_unit

_DASH = re.compile(
    r"(?:[%‰€$£°]|\s?[a-zA-Z]{1,3})?(?:[-‐‑:]|\s?[‒–—~～…]\s?|\.{2,3})(?:[€$£¥]\s?)?\Z"
)
_TO = re.compile(r"\s?\S{0,6}\s(?:to|bis|à|a|tot|até)\s\Z")
_BETWEEN = re.compile(r"(?:between|zwischen|entre|tra|fra|tussen)\s\S?\Z", re.IGNORECASE)
_AND = re.compile(r"\s?\S{0,6}\s(?:and|und|et|y|e|en)\s\Z")
_BOUND = re.compile(
    r"(?:(?<![-=])(?P<sign>[<>≤≥＜＞]=?)|\b(?P<word>(?:more|less|fewer|greater) than|at least|at most"
    r"|mehr als|weniger als|mindestens|höchstens|plus de|moins de|au moins|au plus|más de|menos de"
    r"|al menos))\s?(?:[€$£¥]\s?)?\Z",
    re.IGNORECASE,
)
_LONGEST_SHOWN = 80
_LAST_WORD = re.compile(
    r"(?P<word>[\w'’]+)\s+(?:(?:equal to|exactly|really|just|gleich|genau|exactement)\s+)?[€$£¥*]*\Z"
)
_GIVE_OR_TAKE = re.compile(r"(?:±|\+/)\s?\Z")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN = re.compile(
    r"(?<![\w.])(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![\w.]\w)"
)


@dataclass(frozen=True)
class Reading:
    """A number with what stands around it: the ``pair`` that it is an end of, a bound, its unit.

    ``shown`` is how all of it is written.
    """

    number: Number
    pair: tuple[Number, Number] | None = None
    bound: str = ""
    unit: Unit | None = None
    shown: str = ""


def read_around(text: str, numbers: Sequence[Number], number: Number) -> Reading:
    """A number of a text with what stands around it; ``numbers`` are all of that text."""
    pair = find_pair(text, numbers, number)
    first, last = pair or (number, number)
    unit = read_unit(text, number.start, max(number.end, number.scale_end))
    bound = find_bound(text, first)
    return Reading(number, pair, bound, unit, text[first.start : last.end][:_LONGEST_SHOWN])


def compare_readings(
    written: Reading, wanted: Reading, tolerance: float
) -> tuple[bool | None, str]:
    """Whether two numbers are near; None, and why, where what stands around them leaves it open."""
    if written.pair and wanted.pair:
        ends = [
            is_near(mine, theirs, tolerance)
            for mine, theirs in zip(written.pair, wanted.pair, strict=True)
        ]
        near = False if False in ends else None if None in ends else True
        return near, "a number can be read in two ways"
    for pair, number in ((written.pair, wanted.number), (wanted.pair, written.number)):
        if pair:
            return (None if _may_mean(pair, number, tolerance) else False), "two numbers, not one"
    mine, theirs = written.number, wanted.number
    if mine.reason == TOO_GREAT and theirs.value is not None:
        return False, mine.reason
    if mine.value is None and mine.alternative is not None:
        near = is_near(replace(mine, value=mine.alternative), theirs, tolerance) and None
        return near, mine.reason
    if written.unit and wanted.unit and written.unit.kind == wanted.unit.kind:
        size = written.unit.size / wanted.unit.size
        if size != 1.0 and mine.value is not None:
            mine = replace(mine, value=mine.value * size, alternative=None)
            tolerance = max(tolerance, 1e-9 * abs(mine.value or 0.0))
    near = is_near(mine, theirs, tolerance)
    if near and written.bound != wanted.bound:
        return None, f"{written.bound or wanted.bound} and the number itself are two things"
    if near and written.unit and wanted.unit and written.unit.kind != wanted.unit.kind:
        kinds = f"{written.unit.kind} and {wanted.unit.kind}"
        return None, f"the same number, but {kinds} are not the same"
    return near, mine.reason or "the number can be read in two ways"


def _may_mean(pair: tuple[Number, Number], number: Number, tolerance: float) -> bool:
    """Whether one of the two is that number, or it lies between them."""
    if any(is_near(end, number, tolerance) is not False for end in pair):
        return True
    first, second, value = pair[0].amount, pair[1].amount, number.amount
    return None not in (first, second, value) and first < value < second  # type: ignore[operator]


def find_pair(text: str, numbers: Sequence[Number], number: Number) -> tuple[Number, Number] | None:
    """The two ends of the range, score or ratio that a number is part of; None where it is of none.

    ``5-10``, ``5–10``, ``2:1``, ``between 5 and 10``; ``5 to 10`` where nothing stands before it,
    since elsewhere something may rise from the one to the other.
    """
    at = next((i for i, other in enumerate(numbers) if other.start == number.start), None)
    for left in () if at is None else (at - 1, at):
        if left < 0 or left + 1 >= len(numbers):
            continue
        first, second = numbers[left], numbers[left + 1]
        gap = text[max(first.end, first.scale_end) : second.start]
        between = _AND.fullmatch(gap) and _BETWEEN.search(text[: first.start])
        opens = _TO.fullmatch(gap) and not text[: first.start].strip(" ~≈$€£")
        if _DASH.fullmatch(gap) or between or opens:
            return first, second
    return None


def find_bound(text: str, number: Number) -> str:
    """The sign or words that make a number a bound (``<``, ``at least``); empty where there are none."""
    match = _BOUND.search(text[max(0, number.start - 24) : number.start])
    return (match["sign"] or match["word"]).lower() if match else ""


def drop_tolerances(numbers: Sequence[Number], text: str) -> list[Number]:
    """The numbers without those that say how far another may be off (``5 ± 1``)."""
    left = [n for n in numbers if not _GIVE_OR_TAKE.search(text[max(0, n.start - 4) : n.start])]
    return left or list(numbers)


def drop_denied(numbers: Sequence[Number], text: str) -> list[Number]:
    """The numbers without those that are denied (*42, not 41*), where another is left."""
    return [n for n in numbers if not is_denied(text, n.start)] or list(numbers)


def is_denied(text: str, start: int) -> bool:
    """Whether the word before a value that begins there says that it is not that: *not 42*."""
    before = _LAST_WORD.search(text[max(0, start - 40) : start])
    word = before["word"].casefold() if before else ""
    return is_negator(word) and word != "no"  # No 5 is number five


def find_roman(text: str) -> Number | None:
    """The only Roman numeral of a text without other numbers; None where there is none or several.

    It has a value where it is the whole text and has two letters. ``Chapter IV`` and a lone ``X`` may
    be something else: there the value is the ``alternative``.
    """
    found = [match for match in _ROMAN.finditer(text) if match[0]]
    if len(found) != 1:
        return None
    digits = [_ROMAN_DIGITS[letter] for letter in found[0][0]]
    pairs = zip(digits, [*digits[1:], 0], strict=True)
    value = float(sum(digit if digit >= after else -digit for digit, after in pairs))
    start, end = found[0].span()
    alone = text.strip(" .,;:!()\n") == found[0][0]
    if end - start == 1 and not alone:
        return None  # I is a word of English, X and C are names
    if end - start > 1 and alone:
        return Number(value, start, end)
    reason = f"{found[0][0]} may be the Roman numeral of {value:.0f}, or none"
    return Number(None, start, end, alternative=value, reason=reason)
