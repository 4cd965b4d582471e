"""From what a model wrote to the answer that is compared: lm-evaluation-harness 0.4.13's filters.

A filter is a text and its row to a text; ``None`` is an answer that cannot be right (a map without a
default). The harness asks greedily and compares the first answer, so the filters that choose among
several answers to one prompt change nothing here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import regex

from residency.errors import SuiteError
from residency.evaluate.benchmarks.task import Row

AnswerFilter = Callable[[str | None, Row], str | None]
SECONDS = 1.0
"""Longest search of a pattern in one answer; a longer one counts as no match."""
NUMBER_AFTER_MARK = r"#### (\-?[0-9\.\,]+)"
NOT_FOUND = "[invalid]"


@dataclass(frozen=True)
class FilterLine:
    """Filters after one another, and the name under which what comes out is counted."""

    name: str
    filters: tuple[AnswerFilter, ...]

    def read_answer(self, text: str, row: Row) -> str | None:
        """What the filters leave of an answer."""
        answer: str | None = text
        for one in self.filters:
            answer = one(answer, row)
        return answer


def find_all(pattern: str, text: str) -> list[Any]:
    """As ``re.findall``; empty where the search takes too long."""
    try:
        return list(regex.compile(pattern).findall(text, timeout=SECONDS))
    except TimeoutError:
        return []


def replace_all(pattern: str, text: str) -> str:
    """The text without what the pattern matches; unchanged where the search takes too long."""
    try:
        return str(regex.compile(pattern).sub("", text, timeout=SECONDS))
    except TimeoutError:
        return text


def _pick_group(match: Any) -> str:
    """The first group that holds something, where there are several."""
    if isinstance(match, tuple):
        return next((group for group in match if group), "")
    return str(match)


@dataclass(frozen=True)
class FindPattern:
    """``regex``: the match of a pattern, by default the first one."""

    regex_pattern: str = NUMBER_AFTER_MARK
    group_select: int = 0
    fallback: str = NOT_FOUND

    def __call__(self, text: str | None, row: Row) -> str | None:
        """The match, or the fallback."""
        matches = find_all(self.regex_pattern, text or "")
        if not matches:
            return self.fallback
        picked = matches[self.group_select]
        if isinstance(picked, tuple) and not any(picked):
            return self.fallback.strip()
        return _pick_group(picked).strip()


@dataclass(frozen=True)
class FindChoice:
    """``multi_choice_regex``: a pattern, or else a choice's words, or else its letter."""

    regex_pattern: str = NUMBER_AFTER_MARK
    group_select: int = 0
    fallback: str = NOT_FOUND
    ignore_case: bool = False
    ignore_punctuation: bool = False
    regexes_to_ignore: tuple[str, ...] = ()

    def __call__(self, text: str | None, row: Row) -> str | None:
        """The match, the choice's letter in brackets, or the fallback."""
        text = text or ""
        words = [self._plain(str(choice).strip()) for choice in row["choices"]]
        letters = [chr(ord("A") + number) for number in range(len(words))]
        by_word = {word: f"({letter})" for word, letter in zip(words, letters, strict=True)}
        longest = sorted((regex.escape(word) for word in words), key=len, reverse=True)
        return (
            self._find(self.regex_pattern, text, {})
            or self._find("|".join(longest), self._plain(text), by_word)
            or self._find(
                rf":[\s]*({'|'.join(letters)})", text, {letter: f"({letter})" for letter in letters}
            )
            or self.fallback
        )

    def _find(self, pattern: str, text: str, means: Mapping[str, str]) -> str:
        matches = find_all(pattern, text)
        match = _pick_group(matches[self.group_select]).strip() if matches else ""
        return means.get(match, match) if match else ""

    def _plain(self, text: str) -> str:
        for pattern in self.regexes_to_ignore:
            text = replace_all(pattern, text)
        if self.ignore_case:
            text = text.lower()
        if self.ignore_punctuation:
            text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        return text


@dataclass(frozen=True)
class MapAnswer:
    """``map``: an answer stands for another; others get the default."""

    mapping_dict: Mapping[str, Any]
    default_value: Any = None

    def __call__(self, text: str | None, row: Row) -> str | None:
        """The answer that it stands for."""
        value = self.mapping_dict.get(text or "", self.default_value)
        return None if value is None else str(value)


def _change_text(change: Callable[[str], str], text: str | None, row: Row) -> str | None:
    return None if text is None else change(text)


def _pass_on(text: str | None, row: Row) -> str | None:
    return text


_PLAIN: Mapping[str, AnswerFilter] = {
    "remove_whitespace": partial(_change_text, str.strip),
    "lowercase": partial(_change_text, str.lower),
    "uppercase": partial(_change_text, str.upper),
    "take_first": _pass_on,
    "take_first_k": _pass_on,
    "majority_vote": _pass_on,
}
_WITH_SETTINGS: Mapping[str, Callable[..., AnswerFilter]] = {
    "regex": FindPattern,
    "multi_choice_regex": FindChoice,
    "map": MapAnswer,
}


def read_filter_lines(raw: Any, where: str) -> tuple[FilterLine, ...]:
    """``filter_list`` of a task file; without one the answer is taken as it is, under ``none``.

    Raises:
        SuiteError: a filter that is not known, or settings that it does not have.
    """
    if raw is None:
        return (FilterLine("none", ()),)
    try:
        return tuple(
            FilterLine(str(line["name"]), tuple(_make_filter(one, where) for one in line["filter"]))
            for line in raw
        )
    except (TypeError, KeyError) as error:
        raise SuiteError(
            f"filter_list cannot be read: {type(error).__name__} {error}",
            where=where,
            next_step="it is a list of {name, filter: [{function, …}]}",
        ) from None


def _make_filter(raw: Mapping[str, Any], where: str) -> AnswerFilter:
    name = raw["function"]
    settings = {key: value for key, value in raw.items() if key != "function"}
    if name in _PLAIN:
        return _PLAIN[name]
    if name not in _WITH_SETTINGS:
        known = ", ".join([*_WITH_SETTINGS, *_PLAIN])
        raise SuiteError(f"the filter {name!r} is not known ({known})", where=where)
    settings = {key: _freeze(value) for key, value in settings.items()}
    patterns = [settings.get("regex_pattern", ""), *settings.get("regexes_to_ignore", ())]
    for pattern in patterns:
        check_pattern(pattern, where)
    return _WITH_SETTINGS[name](**settings)


def _freeze(value: Any) -> Any:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if listed else value


def check_pattern(pattern: Any, where: str) -> None:
    """Stop where a text is no regular expression.

    Raises:
        SuiteError: it is none.
    """
    try:
        regex.compile(pattern)
    except (regex.error, TypeError) as error:
        raise SuiteError(f"{pattern!r} is no pattern: {error}", where=where) from None
