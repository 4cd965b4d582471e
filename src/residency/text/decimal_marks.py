"""Which mark of a number sets off decimals and which groups thousands.

A comma or point with other than three digits after it is a decimal mark; a mark that repeats, or
stands before another mark, groups thousands. One mark with exactly three digits after it can be
either: then the other numbers of the same conversation decide, without them the English reading is
taken and the other is the alternative; where they contradict one another there is no value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from residency.text.number_forms import (
    GROUPS,
    NOT_A_NUMBER,
    NUMBER,
    SPACES,
    UNSPACED,
    VULGAR,
    plain_body,
)

Convention = Literal["point", "comma", "mixed", "unknown"]
"""Which mark sets off decimals in a text: told by numbers that can be read in one way only."""


def find_convention(texts: Iterable[str]) -> Convention:
    """Which decimal mark the numbers of these texts show that can be read in one way only."""
    shown = {
        mark for text in texts for match in iterate_candidates(text) for mark in _clear_marks(match)
    }
    if len(shown) == 2:
        return "mixed"
    return shown.pop() if shown else "unknown"


def iterate_candidates(text: str) -> Iterable[re.Match[str]]:
    """Matches that may be numbers: not within a word, a date, a time or a version."""
    skipped = [match.span() for match in NOT_A_NUMBER.finditer(text) if not _is_grouped(match)]
    at = 0
    for match in NUMBER.finditer(text):
        start = match.start()
        while at < len(skipped) and skipped[at][1] <= start:
            at += 1
        before = text[start - 1 : start]
        if before and (before.isalnum() or before == "_") and not UNSPACED.match(before):
            continue
        if at < len(skipped) and skipped[at][0] <= start:
            continue
        yield match


def _is_grouped(match: re.Match[str]) -> bool:
    """Whether what looks like a date or an address is a number of many groups (1.234.567)."""
    return bool(re.fullmatch(r"\d{1,3}(?:\.\d{3})+", match.group()))


def _clear_marks(match: re.Match[str]) -> list[Literal["point", "comma"]]:
    body = plain_body(match["body"])
    if match.string.startswith((",-", ",–"), match.end()):  # a price without cents: 1.234,-
        return ["comma"]
    if not is_one_number(body):
        return []
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


def is_one_number(body: str) -> bool:
    """Whether marks that repeat group digits as some country does; true where none repeats."""
    repeats = max(body.count("."), body.count(",")) > 1
    return not repeats or GROUPS.fullmatch(body) is not None


def read_digits(body: str, convention: Convention) -> tuple[float | None, float | None, str]:
    """Value, other reading, and why there is no value."""
    if body in VULGAR:
        return unicodedata.numeric(body), None, ""
    text = re.sub(rf"[{SPACES}'’´٬_]", "", body).replace("٫", ".")
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
        if text == body and not is_one_number(body):
            return None, None, f"{body} groups its digits in no known way"
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
