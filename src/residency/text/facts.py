"""Facts that stand in a text and can be looked for in another: numbers, dates, codes, names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from residency.text.dates import find_dates
from residency.text.function_words import FUNCTION_WORDS
from residency.text.numbers import find_numbers

FactKind = Literal["number", "date", "code", "name"]

_CODE = re.compile(
    r"(?<![\w-])(?=[\w-]*[^\W\d_])(?=[\w-]*\d)[^\W_]+(?:[-_/.][^\W_]+)*(?![\w-])"
    r"|(?<!\d)\d{1,2}:\d{2}(?!\d)"
)
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|km|kg|cm|mm|ml|h|m|s|g|l|x)?\Z", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w'’-])[^\W\d_a-z][\w’'-]*[^\W_]")
_OPENS = re.compile(r"(?:^|[.!?:;\n\r“”\"(•*>-])\s*\Z")
_TITLE = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|Nr)\.\s\Z")


@dataclass(frozen=True)
class Fact:
    """One fact: ``written`` as it stands in the text, ``key`` equal for the same fact."""

    kind: FactKind
    written: str
    key: str


def find_facts(text: str, *, names: bool = True, context: Iterable[str] = ()) -> list[Fact]:
    """Facts of a text, each once, in the order of their kinds.

    A name is a word with a capital that opens no sentence. A date that can be read in two ways
    (``3/12/2024``) is no fact; a code is a word with letters and digits, or a time.

    Args:
        context: other texts of the conversation; they help to read decimal marks.
    """
    facts: list[Fact] = []
    rest = text
    for date in find_dates(text):
        if not date.may_swap:
            written = text[date.start : date.end].strip()
            facts.append(Fact("date", written, f"{date.year or ''}-{date.month}-{date.day}"))
            rest = rest[: date.start] + " " * (date.end - date.start) + rest[date.end :]
    for match in list(_CODE.finditer(rest)):
        if not _ORDINAL.match(match[0]):
            facts.append(Fact("code", match[0], match[0].casefold()))
            rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    for number in find_numbers(rest, context=context):
        if number.amount is not None:
            facts.append(Fact("number", rest[number.start : number.end], f"{number.amount:.12g}"))
    if names:
        facts += _find_names(rest)
    return list({(fact.kind, fact.key): fact for fact in facts}.values())


def is_stated(fact: Fact, text: str, facts: Iterable[Fact]) -> bool:
    """Whether a text states a fact; ``facts`` are those of the text."""
    if fact.kind in ("name", "code"):
        return bool(re.search(rf"(?<!\w){re.escape(fact.key)}(?!\w)", _fold(text)))
    keys = {other.key for other in facts if other.kind == fact.kind}
    if fact.kind != "date":
        return fact.key in keys
    year, _, day = fact.key.partition("-")
    return any(
        theirs.partition("-")[2] == day and (not year or theirs.partition("-")[0] in ("", year))
        for theirs in keys
    )


def share_of_capitals(texts: Iterable[str]) -> float:
    """Which share of the words inside sentences begins with a capital: high where nouns do."""
    capitals = words = 0
    for text in texts:
        for match in re.finditer(r"[^\W\d_]{2,}", text):
            if not _opens_sentence(text, match.start()):
                words += 1
                capitals += match[0][0].isupper()
    return capitals / words if words else 0.0


def _find_names(text: str) -> list[Fact]:
    return [
        Fact("name", match[0], _fold(match[0]))
        for match in _NAME.finditer(text)
        if _is_name(match[0]) and not _opens_sentence(text, match.start())
    ]


def _is_name(word: str) -> bool:
    return (
        word[0].isupper()
        and len(word) > 2
        and word.casefold() not in FUNCTION_WORDS
        and not word.startswith(("I'", "I’"))
    )


def _opens_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 12) : start]
    return bool(_OPENS.search(before)) and not _TITLE.search(before)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
