"""Where in a response the answer stands: a suite's step before its rules look at it.

``extract = "last_line"``, ``"last_number"`` or ``"json"`` (the last JSON value), or a table with a
pattern (``{regex = 'Answer: (.*)'}``, the first group that matched counts) or a key (``{json = "answer"}``, or
``{json = "result.answer"}`` inside an object).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import regex

from residency.errors import SuiteError
from residency.evaluate.judged_answer import ExtractedText
from residency.evaluate.suites.rule_registry import suggest_name
from residency.text.number_context import is_denied
from residency.text.number_words import find_number_words
from residency.text.numbers import drop_labels, find_numbers

WAYS = ("regex", "last_number", "last_line", "json")
EXTRACTION = 4
"""Version of the search for answers."""
SECONDS = 1.0
"""Longest search of a pattern in one response."""
_LINE = regex.compile(r"[^\r\n\v\f\x85\u2028\u2029]*\S[^\r\n\v\f\x85\u2028\u2029]*")
_FENCE = regex.compile(r"\s*(?:(?:`{3,}|~{3,})[\w+-]*|[-*_=]{3,}|</?\w+>)\s*")
"""A fence, a rule between paragraphs, a tag: a line that says nothing."""
_CITATION = regex.compile(r"\[\s*\d{1,3}\s*\]")
_MAX_STARTS = 200


@dataclass(frozen=True)
class AnswerExtraction:
    """How to find the answer in a response.

    ``argument`` is the pattern of ``regex``, or the key of ``json`` (empty: the whole value).
    """

    way: Literal["regex", "last_number", "last_line", "json"]
    argument: str = ""

    def find_answer(self, text: str) -> ExtractedText | None:
        """The answer and its characters ``start:end``; None where there is none."""
        if self.way == "last_number":
            return _find_number(text)
        if self.way == "last_line":
            return _find_line(text)
        if self.way == "json":
            return _find_json(text, self.argument)
        return self._find_pattern(text)

    def _find_pattern(self, text: str) -> ExtractedText | None:
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
        groups = range(1, (last.re.groups or 0) + 1)
        group = next((number for number in groups if last.group(number) is not None), 0)
        return ExtractedText(last.start(group), last.end(group), last.group(group))


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


def _find_number(text: str) -> ExtractedText | None:
    """The last number, in digits or else in words, that is not denied (*42, not 41*)."""
    numbers = drop_labels(find_numbers(text), text)
    spans = [(n.start, max(n.end, n.scale_end)) for n in numbers]
    spans = spans or [(start, end) for _, start, end in find_number_words(text)]
    answers = [span for span in spans if not is_denied(text, span[0])]
    if not answers:
        return None
    start, end = answers[-1]
    return ExtractedText(start, end, text[start:end])


def _find_line(text: str) -> ExtractedText | None:
    """The last line that holds something besides a fence, a rule or a tag."""
    lines = [line for line in _LINE.finditer(text) if not _FENCE.fullmatch(line.group())]
    if not lines:
        return None
    line = lines[-1].group()
    start = lines[-1].start() + len(line) - len(line.lstrip())
    return ExtractedText(start, start + len(line.strip()), line.strip())


def _find_json(text: str, key: str) -> ExtractedText | None:
    """The last JSON object or list in a text, or the value of one of its keys; ``[1]`` in prose is
    a citation where there is another value."""
    best: ExtractedText | None = None
    for start, end, value in _iterate_json(text):
        if not key:
            if best is None or not _CITATION.fullmatch(text, start, end):
                best = ExtractedText(start, end, text[start:end])
        else:
            best = _find_value(text, start, end, key, value) or best
    return best


def _iterate_json(text: str) -> Iterator[tuple[int, int, Any]]:
    """JSON objects and lists of a text that lie in no other, and their places."""
    decoder = json.JSONDecoder(object_pairs_hook=_join_pairs)
    position = 0
    for _ in range(_MAX_STARTS):
        start = min(
            (i for i in (text.find("{", position), text.find("[", position)) if i >= 0), default=-1
        )
        if start < 0:
            return
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        yield start, position, value


def _join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; one that gives a key two values has none."""
    value = dict(pairs)
    if any(
        value[key] is not other and value[key] != other for key, other in pairs
    ):  # NaN is not NaN
        raise ValueError("a key has two values")
    return value


def _find_value(text: str, start: int, end: int, key: str, value: Any) -> ExtractedText | None:
    """The value of a key, or of a path of keys, of the object ``text[start:end]``; strings without
    their quotes and escapes."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return None
    names = {str(name).casefold(): name for name in reversed(value)}
    name = key if key in value else names.get(key.casefold())
    if name is None:
        first, _, rest = key.partition(".")
        name = names.get(first.casefold()) if rest else None
        if name is None:
            return None
        inner = _locate_value(text, start, end, name, value[name])
        return _find_value(text, *inner, rest, value[name]) if inner else None
    span = _locate_value(text, start, end, name, value[name])
    if span is None:
        return None
    inner_value = value[name]
    if isinstance(inner_value, str):
        return ExtractedText(span[0] + 1, span[1] - 1, inner_value)
    return ExtractedText(*span, text[span[0] : span[1]])


def _locate_value(text: str, start: int, end: int, key: str, value: Any) -> tuple[int, int] | None:
    """Where the value of a key stands in the object ``text[start:end]``."""
    for written in dict.fromkeys((json.dumps(key, ensure_ascii=False), json.dumps(key))):
        for hit in regex.finditer(regex.escape(written) + r"\s*:\s*", text, pos=start, endpos=end):
            try:
                read, stop = json.JSONDecoder().raw_decode(text, hit.end())
            except (ValueError, RecursionError):
                continue
            if read == value:
                return hit.end(), stop
    return None
