"""Dates as people write them: ``2024-03-12``, ``12.3.2024``, ``3/12/2024``, ``12 March 2024``,
``March 12th``, ``12 de marzo de 2024``, ``2024年3月12日``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENGLISH_AND_GERMAN = (
    "january januar jan", "february februar feb", "march märz mar mär", "april apr",
    "may mai", "june juni jun", "july juli jul", "august aug", "september sep sept",
    "october oktober oct okt", "november nov", "december dezember dec dez",
)  # fmt: skip
_OTHERS = (
    "janvier enero gennaio janeiro januari", "février febrero febbraio fevereiro februari",
    "mars marzo março maart", "avril abril aprile", "mai mayo maggio maio mei",
    "juin junio giugno junho", "juillet julio luglio julho", "août agosto augustus",
    "septembre septiembre settembre setembro", "octobre octubre ottobre outubro",
    "novembre noviembre novembro", "décembre diciembre dicembre dezembro",
)  # fmt: skip
"""French, Spanish, Italian, Portuguese and Dutch: read only before a year, since ``mars`` and
``mai`` are words of other languages too."""


def _number_months(rows: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, names in enumerate(rows, 1) for name in names.split()}


_MONTHS = _number_months(_OTHERS) | _number_months(_ENGLISH_AND_GERMAN)


def _list_names(rows: tuple[str, ...]) -> str:
    return "|".join(sorted(_number_months(rows), key=len, reverse=True))


_MONTH, _OTHER_MONTH = _list_names(_ENGLISH_AND_GERMAN), _list_names(_OTHERS)
_PATTERNS = (
    re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>\d{4})\s?年\s?(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?日"),
    re.compile(r"(?<![\d/])(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})(?![\d/])"),
    re.compile(
        r"(?<![\d/-])(?P<first>\d{1,2})(?P<mark>[/-])(?P<second>\d{1,2})(?P=mark)(?P<y>\d{4})(?![\d/-])"
    ),
    re.compile(r"(?<!\d)(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})?(?!\d)"),
    re.compile(
        rf"(?<!\w)(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s(?:of\s)?(?P<n>{_MONTH})\b\.?,?"
        r"(?:\s(?P<y>\d{4}))?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?P<n>{_MONTH})\.?\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b,?(?:\s(?P<y>\d{{4}}))?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<!\w)(?P<d>\d{{1,2}})(?:er|º|°)?\s(?:de\s)?(?P<n>{_OTHER_MONTH})(?:\sde)?\s"
        r"(?P<y>\d{4})(?!\d)",
        re.IGNORECASE,
    ),
)
"""The earlier one is taken where two fit."""


@dataclass(frozen=True)
class WrittenDate:
    """A date that stands at ``start:end``; ``year`` is None where none is written.

    ``may_swap``: 3/12/2024 is read as 12 March, as in the United States, and can be 3 December.
    """

    year: int | None
    month: int
    day: int
    start: int
    end: int
    may_swap: bool = False


def find_dates(text: str) -> list[WrittenDate]:
    """The dates of a text, in order; what has no such month or day is none."""
    dates: list[WrittenDate] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if any(match.start() < d.end and d.start < match.end() for d in dates):
                continue
            date = _read_match(match)
            if 1 <= date.month <= 12 and 1 <= date.day <= 31:
                dates.append(date)
    return sorted(dates, key=lambda date: date.start)


def _read_match(match: re.Match[str]) -> WrittenDate:
    groups = match.groupdict()
    year, span = int(groups["y"]) if groups.get("y") else None, match.span()
    if groups.get("first"):
        month, day = int(groups["first"]), int(groups["second"])
        if month > 12:
            return WrittenDate(year, day, month, *span)
        return WrittenDate(year, month, day, *span, may_swap=day <= 12 and day != month)
    month = _MONTHS[groups["n"].casefold()] if groups.get("n") else int(groups["m"])
    return WrittenDate(year, month, int(groups["d"]), *span)


def is_same_date(written: WrittenDate, wanted: WrittenDate) -> bool | None:
    """Whether two dates are the same; None where one of two readings is, or only one names a year."""
    if None not in (written.year, wanted.year) and written.year != wanted.year:
        return False
    open_year = written.year != wanted.year
    pairs = {(written.month, written.day) == (wanted.month, wanted.day)}
    if written.may_swap != wanted.may_swap:
        pairs.add((written.day, written.month) == (wanted.month, wanted.day))
    same = pairs == {True} or (True in pairs and None)
    return None if same and open_year else same
