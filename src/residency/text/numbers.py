"""Numbers as people write them: ``5,99``, ``1 234``, ``1'000``, ``.5``, ``12km``, ``−3 %``, ``٣٫٥``,
``-$5``, ``3 1/2``, ``3,5 Mio.``, ``\\frac{3}{4}``, ``2 \\times 10^{5}``.

``decimal_marks.py`` says what a comma and a point mean. An amount in brackets, which accounts write
for a negative one, has that as its alternative. Dates, times, versions and codes such as ``A-1b`` or
``h2o`` are no numbers.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from residency.text.decimal_marks import (
    Convention,
    find_convention,
    is_one_number,
    iterate_candidates,
    read_digits,
)
from residency.text.number_forms import (
    BRACKETS,
    COMMA_LIST,
    FAR_SIGN,
    FRACTION,
    LATEX_FRACTION,
    LIST_MARK,
    MINUS,
    MIXED_FRACTION,
    NAMED,
    OUT_OF,
    PERCENT,
    PERCENT_BEFORE,
    POWER,
    SIGNS,
    THOUSANDS,
    plain_body,
)
from residency.text.number_scales import read_scale

TOO_GREAT = "greater than any number that can be compared"
"""The reason of a number beyond every float: it is none that can be compared."""
_RAISED = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")


@dataclass(frozen=True)
class Number:
    """A number and its position: characters ``start:end`` of the text, the sign included.

    ``value`` is None where the writing cannot be read in one way; ``reason`` says why.
    ``alternative`` is the other reading of a single mark with three digits after it.
    ``parts``: what it counts parts of, 100 with a per cent sign or word beside it, 1000 with one of
    per mille, else 1; 5 % has the value 5.
    ``scale``: what a word behind it multiplies (3.5 million has the value 3.5 and the scale 1e6);
    that word ends at ``scale_end``.
    """

    value: float | None
    start: int
    end: int
    parts: int = 1
    alternative: float | None = None
    reason: str = ""
    scale: float = 1.0
    scale_end: int = 0

    @property
    def is_percent(self) -> bool:
        """Whether it counts parts of a hundred."""
        return self.parts == 100

    @property
    def amount(self) -> float | None:
        """The value with its scale: 3500000 for 3.5 million."""
        return None if self.value is None else self.value * self.scale


def find_numbers(text: str, *, context: Iterable[str] = ()) -> list[Number]:
    """Every number of a text, in order.

    Args:
        context: other texts of the same conversation (prompt, reference), whose numbers help to
            tell decimal marks from marks of thousands.
    """
    return _read_numbers(text, find_convention([text, *context]))


def _read_numbers(text: str, convention: Convention) -> list[Number]:
    latex = list(LATEX_FRACTION.finditer(text)) if "frac" in text else []
    fractions = {match.start(): match for match in FRACTION.finditer(text)}
    mixed = (m for m in MIXED_FRACTION.finditer(text) if int(m["top"]) < int(m["bottom"]))
    fractions |= {match.start(): match for match in mixed}
    numbers: list[Number] = []
    done = 0
    for match in iterate_candidates(text):
        if match.start() < done:
            continue
        inside = next((m for m in latex if m.start() < match.start() < m.end()), None)
        match_numbers = (
            [_read_latex(inside)] if inside else _read_match(match, fractions, convention)
        )
        numbers += [_add_surroundings(number, text) for number in match_numbers]
        done = numbers[-1].end
    return _join_scales(numbers)


def _read_latex(match: re.Match[str]) -> Number:
    top, bottom = int(match[1]), int(match[2])
    value = top / bottom if bottom else None
    return Number(value, *match.span(), reason="" if bottom else "division by zero")


def _read_match(
    match: re.Match[str], fractions: Mapping[int, re.Match[str]], convention: Convention
) -> list[Number]:
    """What one match holds: a fraction, a list without spaces (1,2,3), or one number."""
    start, end = match.span()
    fraction = fractions.get(start)
    if fraction is not None and int(fraction["bottom"]):
        top, bottom = int(fraction["top"]), int(fraction["bottom"])
        whole = fraction.groupdict().get("whole")
        other = float(top) if bottom in OUT_OF and whole is None else None
        return [Number(int(whole or 0) + top / bottom, start, fraction.end(), alternative=other)]
    body = plain_body(match["body"])
    if COMMA_LIST.fullmatch(body) and not is_one_number(body) and not THOUSANDS.search(body):
        parts = re.finditer(r"\d+", body)
        return [Number(float(p[0]), start + p.start(), start + p.end()) for p in parts]
    value, alternative, reason = read_digits(body, convention)
    factor = _read_exponent(match)
    if match["vulgar"] and value is not None:
        value += unicodedata.numeric(match["vulgar"].strip())
    value = None if value is None else value * factor
    alternative = None if alternative is None else alternative * factor
    number = Number(value, start, end, alternative=alternative, reason=reason)
    return [_hold_in_float(_raise_to_power(number, match.string))]


def _raise_to_power(number: Number, text: str) -> Number:
    """``2^10`` is 1024; ``10²`` as well 100 as a 10 with the mark of a note."""
    match = POWER.match(text, number.end)
    if match is None or not number.value:
        return number
    power = int((match["power"] or match["raised"].translate(_RAISED)).replace("−", "-"))
    try:
        value = number.value**power
    except OverflowError:
        value = math.inf
    return replace(
        number, value=value, end=match.end(), alternative=number.value if match["raised"] else None
    )


def _hold_in_float(number: Number) -> Number:
    """What is beyond every float, most often an id such as 34e613, has no value."""
    if number.value is None or math.isfinite(number.value):
        return number
    return replace(number, value=None, alternative=None, reason=TOO_GREAT)


def _add_surroundings(number: Number, text: str) -> Number:
    """A number with the sign before it and what stands behind it."""
    start, value, alternative = number.start, number.value, number.alternative
    before = text[max(0, start - 16) : start]
    word = MINUS.search(before)
    if start and text[start - 1] in SIGNS and not text[start - 2 : start - 1].isalnum():
        start -= 1
        sign = -1 if text[start] not in "+＋" else 1
    elif word and not (word["word"] and before[: word.start()].rstrip()[-1:].isdigit()):
        start += word.start() - len(before)
        sign = -1
    else:
        sign = 1
    scale, scale_end = read_scale(text, number.start, number.end)
    if percent := PERCENT_BEFORE.search(before):
        start = min(start, percent.start() + number.start - len(before))
    if value is not None and alternative is None and sign == 1:
        closed = text[scale_end : scale_end + 6].lstrip(" %").startswith(")")
        in_brackets = closed and BRACKETS.search(before)
        if in_brackets or FAR_SIGN.search(before):
            alternative = -value
    return replace(
        number,
        value=None if value is None else value * sign,
        alternative=None if alternative is None else alternative * sign,
        start=start,
        parts=100 if percent else read_parts(text, number.end),
        scale=scale,
        scale_end=scale_end,
    )


def read_parts(text: str, end: int) -> int:
    """What a number that ends there counts parts of: ``Number.parts``."""
    sign = PERCENT.match(text, end)
    if sign is None:
        return 1
    return 1000 if sign["mille"] else 10_000 if sign["myriad"] else 100


def _join_scales(numbers: list[Number]) -> list[Number]:
    """``3億5000万`` is one number."""
    out: list[Number] = []
    for number in numbers:
        last = out[-1] if out else None
        joins = last and last.scale_end == number.start and last.scale > number.scale
        if last and joins and last.value is not None and number.amount is not None:
            value = last.value + number.amount / last.scale
            out[-1] = replace(last, value=value, end=number.end, scale_end=number.scale_end)
        else:
            out.append(number)
    return out


def drop_labels(numbers: Sequence[Number], text: str) -> list[Number]:
    """The numbers without those that only count the entries of a list (``1. …``) or belong to a name
    (``COVID-19``); all of them where nothing else is left."""
    marks, expected = set(), 1
    for match in LIST_MARK.finditer(text):
        if int(match[1]) in (1, expected):
            expected = int(match[1]) + 1
            marks.add(match.start(1))
    return [
        number
        for number in numbers
        if number.start not in marks
        and not NAMED.search(text[max(0, number.start - 33) : number.start])
    ] or list(numbers)


def _read_exponent(match: re.Match[str]) -> float:
    power = match["exponent"] or match["power"] or (match["raised"] or "").translate(_RAISED)
    return float(f"1e{power.replace('−', '-')}") if power else 1.0
