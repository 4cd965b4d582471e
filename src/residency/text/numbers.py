"""Numbers as people write them: ``5,99``, ``1 234``, ``1'000``, ``.5``, ``12km``, ``−3 %``, ``٣٫٥``.

A comma or point with other than three digits after it is a decimal mark; a mark that repeats, or
stands before another mark, groups thousands. One mark with exactly three digits after it can be
either: then the other numbers of the same conversation decide, without them the English reading is
taken and the other kept as ``alternative``; where they contradict one another there is no value.
Dates, times, versions and codes such as ``A-1b`` or ``h2o`` are no numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Convention = Literal["point", "comma", "mixed", "unknown"]
"""Which mark sets off decimals in a text: told by numbers that can be read in one way only."""

_SPACES = " \u00a0\u2009\u202f"
_NUMBER = re.compile(
    rf"(?P<body>\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?"
    r"|\d+(?:[.,'’٬٫_]\d+)*|[.,]\d+|[¼-¾⅐-⅞])(?P<vulgar>\s?[¼-¾⅐-⅞])?"
    r"(?:[eE](?P<exponent>[-+]?\d{1,3})(?!\w)|\s?[×x*·]\s?10(?:\^(?P<power>[-+−]?\d{1,3})|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]{1,3})))?"
)
_NOT_A_NUMBER = re.compile(
    r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)"  # a date
    r"|\d{1,2}:\d{2}(?::\d{2})?(?!\d)"  # a time
    r"|(?<!\d)\d+(?:\.\d+){3,}"  # an address, a long version
    r"|[vV]\d+(?:\.\d+)+"
    r"|0[xX][0-9a-fA-F]+"
)
_FRACTION = re.compile(r"(?<![\w./])(\d{1,4})/(\d{1,4})(?![\w/])")
_VULGAR = frozenset("¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞")
_SIGNS = "-+−–﹣－＋"
_PERCENT = re.compile(r"\s?(?:[%٪％]|percent\b|per cent\b|Prozent\b)", re.IGNORECASE)
_RAISED = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")


@dataclass(frozen=True)
class Number:
    """A number and its place: characters ``start:end`` of the text, the sign included.

    ``value`` is None where the writing cannot be read in one way; ``reason`` says why.
    ``alternative`` is the other reading of a single mark with three digits after it.
    ``is_percent``: a per cent sign or word follows; 5 % has the value 5.
    """

    value: float | None
    start: int
    end: int
    is_percent: bool = False
    alternative: float | None = None
    reason: str = ""


def find_numbers(text: str, *, context: Iterable[str] = ()) -> list[Number]:
    """Every number of a text, in order.

    Args:
        context: other texts of the same conversation (prompt, reference), whose numbers help to
            tell decimal marks from marks of thousands.
    """
    return _read_numbers(text, find_convention([text, *context]))


def find_convention(texts: Iterable[str]) -> Convention:
    """Which decimal mark the numbers of these texts show that can be read in one way only."""
    shown = {
        mark
        for text in texts
        for match in _iterate_candidates(text)
        for mark in _clear_marks(match)
    }
    if len(shown) == 2:
        return "mixed"
    return shown.pop() if shown else "unknown"


def is_near(number: Number, target: Number, tolerance: float) -> bool | None:
    """Whether two numbers differ by at most ``tolerance``; None where the writing leaves it open.

    15 % equals 0.15 as well as 15.
    """
    if number.value is None or target.value is None:
        return None
    if _differs_little(number, number.value, target, target.value, tolerance):
        return True
    for mine in {number.value, number.alternative}:
        for theirs in {target.value, target.alternative}:
            if (
                mine is not None
                and theirs is not None
                and _differs_little(number, mine, target, theirs, tolerance)
            ):
                return None
    return False


def _differs_little(
    number: Number, mine: float, target: Number, theirs: float, tolerance: float
) -> bool:
    if abs(mine - theirs) <= tolerance:
        return True
    if number.is_percent == target.is_percent:
        return False
    a, b = (mine / 100, theirs) if number.is_percent else (mine, theirs / 100)
    # The tolerance is in the target's unit.
    allowed = tolerance if number.is_percent else tolerance / 100
    return abs(a - b) <= max(allowed, 1e-12)


def _iterate_candidates(text: str) -> Iterable[re.Match[str]]:
    """Matches that may be numbers: not within a word, a date, a time or a version."""
    skipped = [match.span() for match in _NOT_A_NUMBER.finditer(text) if not _is_grouped(match)]
    at = 0
    for match in _NUMBER.finditer(text):
        start = match.start()
        while at < len(skipped) and skipped[at][1] <= start:
            at += 1
        before = text[start - 1 : start]
        if before and (before.isalnum() or before == "_"):
            continue
        if at < len(skipped) and skipped[at][0] <= start:
            continue
        yield match


def _is_grouped(match: re.Match[str]) -> bool:
    """Whether what looks like a date or an address is a number of many groups (1.234.567)."""
    return bool(re.fullmatch(r"\d{1,3}(?:\.\d{3})+", match.group()))


def _clear_marks(match: re.Match[str]) -> list[Literal["point", "comma"]]:
    body = match["body"]
    if match.string.startswith((",-", ",–"), match.end()):  # a price without cents: 1.234,-
        return ["comma"]
    marks = [character for character in body if character in ".,"]
    if not marks:
        return []
    digits_after = len(body) - 1 - max(body.rfind("."), body.rfind(","))
    names: dict[str, Literal["point", "comma"]] = {".": "point", ",": "comma"}
    if len(set(marks)) == 2:  # 1.234,56: the last one sets off decimals
        return [names[marks[-1]]]
    if len(marks) > 1:  # 1.234.567: this one groups, so the other sets off decimals
        return [names["," if marks[0] == "." else "."]]
    return [names[marks[0]]] if digits_after != 3 or body[0] in ".," else []


def _read_numbers(text: str, convention: Convention) -> list[Number]:
    fractions = {match.start(): match for match in _FRACTION.finditer(text)}
    numbers: list[Number] = []
    done = 0
    for match in _iterate_candidates(text):
        start, end = match.span()
        if start < done:
            continue
        fraction = fractions.get(start)
        if fraction is not None and int(fraction[2]):
            value: float | None = int(fraction[1]) / int(fraction[2])
            alternative, reason, end = None, "", fraction.end()
        else:
            value, alternative, reason = _read_body(match["body"], convention)
            factor = _read_exponent(match)
            if match["vulgar"] and value is not None:
                value += unicodedata.numeric(match["vulgar"].strip())
            value = None if value is None else value * factor
            alternative = None if alternative is None else alternative * factor
        if start and text[start - 1] in _SIGNS and not text[start - 2 : start - 1].isalnum():
            start -= 1
            if text[start] not in "+＋":
                value = None if value is None else -value
                alternative = None if alternative is None else -alternative
        percent = _PERCENT.match(text, end)
        numbers.append(Number(value, start, end, percent is not None, alternative, reason))
        done = end
    return numbers


def _read_exponent(match: re.Match[str]) -> float:
    power = match["exponent"] or match["power"] or (match["raised"] or "").translate(_RAISED)
    return 10.0 ** int(power.replace("−", "-")) if power else 1.0


def _read_body(body: str, convention: Convention) -> tuple[float | None, float | None, str]:
    """Value, other reading, and why there is no value."""
    if body in _VULGAR:
        return unicodedata.numeric(body), None, ""
    text = re.sub(rf"[{_SPACES}'’٬_]", "", body).replace("٫", ".")
    marks = [character for character in text if character in ".,"]
    if not marks:
        return float(text), None, ""
    if text[0] in ".,":
        return float("0." + text[1:]), None, ""
    last = max(text.rfind("."), text.rfind(","))
    as_decimal = float(re.sub("[.,]", "", text[:last]) + "." + text[last + 1 :])
    as_group = float(re.sub("[.,]", "", text))
    if len(set(marks)) == 2:
        return as_decimal, None, ""
    if len(marks) > 1:
        return as_group, None, ""
    whole = text[:last]
    if len(text) - 1 - last != 3 or len(whole) > 3 or whole.startswith("0") or text != body:
        return as_decimal, None, ""
    if convention == "mixed":
        both = f"{body} can be {as_group:g} or {as_decimal:g}: both decimal marks occur beside it"
        return None, None, both
    english = as_decimal if text[last] == "." else as_group
    if convention == "unknown":
        return english, as_group if english == as_decimal else as_decimal, ""
    is_decimal = (convention == "point") == (text[last] == ".")
    return (as_decimal if is_decimal else as_group), None, ""
