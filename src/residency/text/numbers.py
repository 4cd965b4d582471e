"""Numbers as people write them: ``5,99``, ``1 234``, ``1'000``, ``.5``, ``12km``, ``−3 %``, ``٣٫٥``,
``-$5``, ``3 1/2``, ``3,5 Mio.``, ``\\frac{3}{4}``, ``2 \\times 10^{5}``.

A comma or point with other than three digits after it is a decimal mark; a mark that repeats, or
stands before another mark, groups thousands. One mark with exactly three digits after it can be
either: then the other numbers of the same conversation decide, without them the English reading is
taken and the other is the ``alternative``; where they contradict one another there is no value.
An amount in brackets, which accounts write for a negative one, has that as its alternative.
Dates, times, versions and codes such as ``A-1b`` or ``h2o`` are no numbers.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from residency.text.number_forms import (
    BRACKETS,
    COMMA_LIST,
    FAR_SIGN,
    FRACTION,
    GROUPS,
    LATEX_FRACTION,
    LIST_MARK,
    MINUS,
    MIXED_FRACTION,
    NAMED,
    NOT_A_NUMBER,
    NUMBER,
    OUT_OF,
    PERCENT,
    PERCENT_BEFORE,
    POWER,
    SIGNS,
    SPACES,
    THOUSANDS,
    UNSPACED,
    VULGAR,
    plain_body,
)
from residency.text.number_scales import read_scale

Convention = Literal["point", "comma", "mixed", "unknown"]
"""Which mark sets off decimals in a text: told by numbers that can be read in one way only."""

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

    15 % equals 0.15 as well as 15, and 3.5 million 3500000 as well as 3.5; the tolerance is in the
    target's unit.
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
    exact = max(tolerance, 1e-12 * abs(theirs))
    if 1 < number.parts != target.parts > 1:  # 5 ‰ and 5 %
        allowed = max(tolerance / target.parts, 1e-12)
        return abs(mine / number.parts - theirs / target.parts) <= allowed
    pairs = [(mine * number.scale, theirs * target.scale, exact * target.scale)]
    if number.scale == 1.0 or target.scale == 1.0:
        pairs.append((mine, theirs, exact))
    if any(abs(a - b) <= allowed for a, b, allowed in pairs):
        return True
    if number.parts == target.parts:
        return False
    # The tolerance is in the target's unit.
    allowed = max(tolerance / target.parts, 1e-12)
    return abs(mine / number.parts - theirs / target.parts) <= allowed


def _iterate_candidates(text: str) -> Iterable[re.Match[str]]:
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
    if not _is_one_number(body):
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


def _read_numbers(text: str, convention: Convention) -> list[Number]:
    latex = list(LATEX_FRACTION.finditer(text)) if "frac" in text else []
    fractions = {match.start(): match for match in FRACTION.finditer(text)}
    mixed = (m for m in MIXED_FRACTION.finditer(text) if int(m["top"]) < int(m["bottom"]))
    fractions |= {match.start(): match for match in mixed}
    numbers: list[Number] = []
    done = 0
    for match in _iterate_candidates(text):
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
    if COMMA_LIST.fullmatch(body) and not _is_one_number(body) and not THOUSANDS.search(body):
        parts = re.finditer(r"\d+", body)
        return [Number(float(p[0]), start + p.start(), start + p.end()) for p in parts]
    value, alternative, reason = _read_body(body, convention)
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
    reason = "greater than any number that can be compared"
    return replace(number, value=None, alternative=None, reason=reason)


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


def _is_one_number(body: str) -> bool:
    """Whether marks that repeat group digits as some country does; true where none repeats."""
    repeats = max(body.count("."), body.count(",")) > 1
    return not repeats or GROUPS.fullmatch(body) is not None


def _read_body(body: str, convention: Convention) -> tuple[float | None, float | None, str]:
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
        if text == body and not _is_one_number(body):
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
