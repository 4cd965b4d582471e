"""Where in a response the answer stands: a suite's own step before its rules look at it.

``extract = "last_line"``, ``"last_number"`` or ``"json"`` (the last JSON value), or a table with a
pattern (``{regex = 'Answer: (.*)'}``, its first group counts) or a key (``{json = "answer"}``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import regex

from residency.errors import SuiteError
from residency.evaluate.suites.rule_registry import suggest_name

WAYS = ("regex", "last_number", "last_line", "json")
SECONDS = 1.0
"""Longest search of a pattern in one response."""
_NUMBER = regex.compile(r"[-+−]?(?:\d[\d.,'’\u00a0\u202f]*)?\d(?:[eE][-+]?\d+)?")
_LINE = regex.compile(r"[^\r\n]*\S[^\r\n]*")
_MAX_STARTS = 200


@dataclass(frozen=True)
class AnswerExtraction:
    """How the answer is found in a response.

    ``argument`` is the pattern of ``regex``, or the key of ``json`` (empty: the whole value).
    """

    way: Literal["regex", "last_number", "last_line", "json"]
    argument: str = ""

    def find_answer(self, text: str) -> tuple[int, int] | None:
        """Characters ``start:end`` of the answer; None where there is none."""
        if self.way == "last_number":
            return _last_span(_NUMBER, text)
        if self.way == "last_line":
            return _last_span(_LINE, text)
        if self.way == "json":
            return _find_json(text, self.argument)
        return self._find_pattern(text)

    def _find_pattern(self, text: str) -> tuple[int, int] | None:
        try:
            hits = list(regex.compile(self.argument).finditer(text, timeout=SECONDS))
        except TimeoutError:
            raise SuiteError(
                f"the pattern {self.argument!r} took longer than {SECONDS:g} s on one answer",
                where="suite, key 'extract'",
                next_step="write it without repetition inside repetition, such as (a+)+",
            ) from None
        if not hits:
            return None
        last = hits[-1]  # a model may think aloud first
        group = 1 if last.re.groups and last.group(1) is not None else 0
        start, end = last.span(group)
        return start, end


def make_extraction(raw: Any, *, where: str) -> AnswerExtraction:
    """The extraction that a suite's key ``extract`` describes.

    Raises:
        SuiteError: an unknown way, or a pattern that is none.
    """
    help_text = "docs/suites.md shows the ways of extracting an answer"
    way, argument = raw, ""
    if isinstance(raw, Mapping) and len(raw) == 1:
        way, argument = next(iter(raw.items()))
    if not isinstance(way, str) or way not in WAYS or not isinstance(argument, str):
        near = suggest_name(way, WAYS) if isinstance(way, str) else ""
        raise SuiteError(
            f"'extract' is one of {', '.join(WAYS)}, not {raw!r}{near}",
            where=where,
            next_step=help_text,
        )
    if way == "regex":
        try:
            if not argument:
                raise regex.error("it is empty")
            regex.compile(argument)
        except regex.error as error:
            raise SuiteError(
                f"'extract': the pattern is no regular expression: {error}",
                where=where,
                next_step=help_text,
            ) from None
    return AnswerExtraction(way, argument)  # type: ignore[arg-type]  # checked against WAYS


def _last_span(pattern: Any, text: str) -> tuple[int, int] | None:
    last = None
    for hit in pattern.finditer(text):
        last = hit.span()
    if last is None:
        return None
    start, end = last
    stripped = text[start:end]
    return start + len(stripped) - len(stripped.lstrip()), start + len(stripped.rstrip())


def _find_json(text: str, key: str) -> tuple[int, int] | None:
    """The last JSON object or list in a text, or the value of one of its keys."""
    decoder = json.JSONDecoder()
    best: tuple[int, int] | None = None
    position = 0
    for _ in range(_MAX_STARTS):
        start = min(
            (i for i in (text.find("{", position), text.find("[", position)) if i >= 0), default=-1
        )
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        position = end
        if not key:
            best = start, end
        elif isinstance(value, dict) and key in value:
            best = _find_value(text, start, end, key, value[key]) or best
    return best


def _find_value(text: str, start: int, end: int, key: str, value: Any) -> tuple[int, int] | None:
    """Where a key's value stands in the object ``text[start:end]``; strings without their quotes."""
    named = regex.compile(regex.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:\s*")
    for hit in named.finditer(text, start, end):
        try:
            read, stop = json.JSONDecoder().raw_decode(text, hit.end())
        except (ValueError, RecursionError):
            continue
        if read == value:
            quoted = isinstance(value, str)
            return hit.end() + quoted, stop - quoted
    return None
