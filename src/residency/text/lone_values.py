"""A text that is one value and nothing else: a number, a date, a list in JSON."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from residency.text.dates import find_dates
from residency.text.json_answers import UnjudgeableJsonError, read_json, strip_fence
from residency.text.number_forms import PERCENT
from residency.text.numbers import find_numbers
from residency.text.units import split_off_unit

LoneValue = Literal["", "number", "date", "list"]

_BOXED = re.compile(r"\$*\\boxed\{(?P<inner>[^{}]+)\}\$*\.?")
_EDGES = " \t\r\n.,;:!?\"'`“”„*_$()[]"
_AMOUNT = re.compile(r"\d+[.,]\d+\.?")
"""12.03. can be a day of a month; alone it is an amount."""
_CODE = re.compile(r"0\d+|\d{13,}")
"""Digits that name something: a postal code, a number of a part or an account."""


@lru_cache(maxsize=8192)
def find_lone_value(text: str) -> LoneValue:
    """What a text is if it is one value; empty for every other text.

    A number may have its sign, currency, percent sign or unit beside it. One with a name before it
    (``Apollo 11``), with another noun behind it (``12 Monkeys``), with a zero in front (``007``) or of
    more than 12 digits in a row names something.
    """
    plain = strip_fence(text)[0].strip()
    if boxed := _BOXED.fullmatch(plain):
        plain = boxed["inner"]
    if plain.startswith("["):
        return "list" if read_list(plain) is not None else ""
    dates = [d for d in find_dates(plain) if d.year or not _AMOUNT.fullmatch(plain)]
    if dates:
        rest = plain[: dates[0].start] + plain[dates[0].end :]
        return "date" if len(dates) == 1 and not rest.strip(_EDGES) else ""
    return "number" if _is_lone_number(plain) else ""


def read_list(text: str) -> list[object] | None:
    """The array of a JSON text, in a fence or without; None for every other text."""
    try:
        value = read_json(strip_fence(text)[0].strip())
    except (ValueError, UnjudgeableJsonError):
        return None
    return value if isinstance(value, list) else None


def _is_lone_number(text: str) -> bool:
    numbers = find_numbers(text) if any(map(str.isnumeric, text)) else []
    if len(numbers) != 1:
        return False
    number = numbers[0]
    if _CODE.fullmatch(text[number.start : number.end].lstrip("+-−")):
        return False
    end = max(number.end, number.scale_end)
    if sign := PERCENT.match(text, end):
        end = sign.end()
    before, behind = split_off_unit(text, number.start, end)
    return not before.strip(_EDGES + "~≈-−+") and not behind.strip(_EDGES)
