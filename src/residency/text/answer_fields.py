"""The fields of a structured answer with their places, and the breaches of its form.

There is one reading of ``key: value`` lines. A field is a line of a name, a colon (also a
full-width one) and a value on the same line. Marks that a chat model puts around it (a list
mark, ``**bold**``, a code fence) are read over; ``parse_answer`` reports them as breaches of form.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from residency.nouns.finding import Span
from residency.text.json_answers import (
    UnjudgeableJsonError,
    read_json,
    strip_fence,
    write_canonical,
)
from residency.text.normal_form import normalise_answer
from residency.text.words import split_words

Parse = Literal["lines", "json"]
LONGEST_REMEMBERED = 4000
"""Characters; longer answers are rare, and would fill the memory."""

EMPTY_VALUES = frozenset(
    {"", "none", "n/a", "na", "null", "unknown", "-", "not given", "not mentioned"}
)
"""Values that say that there is nothing."""
PROSE_WORDS = 6
KEY_CHARACTERS, KEY_WORDS = 60, 8
"""A longer text before a colon is a sentence, not a field's name."""

_LINE = re.compile(r"[^\n\r\x85\u2028\u2029]+")
_LEAD = re.compile(
    r"[\s>]*(?:(?:[-+–—•‣◦▪●➤➢→✓✔✅☑]\ufe0f?|\*(?!\*)|#{1,6}|\d{1,3}[.)]|[A-Za-z][.)])[ \t]+)?"
)
_COLON = re.compile(r"[:：﹕]")
_EMPHASIS = re.compile(r"\*{1,3}|_{1,3}|`")
_FENCE_LINE = re.compile(r"\s*```[\w-]*\s*\Z")


@dataclass(frozen=True)
class Field:
    """One field. ``start:end`` are the value's characters in the text, ``key`` is case folded.

    ``canonical`` is equal for values that mean the same, ``marked`` tells that Markdown stands
    around the name or the value.
    """

    key: str
    value: str
    start: int
    end: int
    canonical: str = ""
    marked: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the value says *nothing given*."""
        return self.value.strip(" .").lower() in EMPTY_VALUES

    @property
    def is_prose(self) -> bool:
        """Whether the value is prose (six words or more) rather than a value."""
        return len(split_words(self.value)) >= PROSE_WORDS


@dataclass(frozen=True)
class Problem:
    """A breach of the format. ``final`` is False when an answer that goes on could mend it."""

    message: str
    span: Span | None = None
    final: bool = True


@dataclass(frozen=True)
class Parsed:
    """The fields of an answer, by case-folded name in order, and what is wrong with its form.

    ``last`` is the name of the field in which the text ends (a cut may have fallen there).
    ``unjudgeable`` says why nothing can be said of the answer at all.
    """

    fields: dict[str, Field]
    problems: tuple[Problem, ...] = ()
    last: str = ""
    unjudgeable: str = ""


def parse_answer(text: str, parse: Parse) -> Parsed:
    """The fields of a structured answer.

    ``lines``: each line is ``key: value``; empty lines are ignored. ``json``: one object; values
    that are not strings are written as JSON. Markdown around either is read, and is a problem.
    Several rules read the same answers, so the latest are remembered: the value is not to be changed.
    """
    return _parse(text, parse) if len(text) > LONGEST_REMEMBERED else _parse_once(text, parse)


def _parse(text: str, parse: Parse) -> Parsed:
    return _parse_lines(text) if parse == "lines" else _parse_json(text)


_parse_once = lru_cache(maxsize=8192)(_parse)


def find_fields(text: str) -> dict[str, Field]:
    """The fields of an answer that may not be structured at all; first occurrence of each name.

    Empty unless at least two lines are fields and they are at least half of the non-empty lines,
    so that prose with a colon is not taken for a form.
    """
    fields: dict[str, Field] = {}
    count = lines = 0
    for line in _iterate_lines(text):
        lines += 1
        field = _read_line(line)
        if field is not None:
            count += 1
            fields.setdefault(field.key, field)
    return fields if count >= 2 and 2 * count >= lines else {}


def _iterate_lines(text: str) -> Iterator[re.Match[str]]:
    """Lines that hold something, without those of a code fence."""
    for line in _LINE.finditer(text):
        if line.group().strip() and not _FENCE_LINE.match(line.group()):
            yield line


def _read_line(line: re.Match[str]) -> Field | None:
    """The field of a line, or None."""
    text = line.group()
    lead = _LEAD.match(text)
    begin = lead.end() if lead else 0
    colon = _COLON.search(text, begin)
    if colon is None or text.startswith("//", colon.end()):
        return None
    before, after = text[: colon.start()][-1:], text[colon.end() :][:1]
    if before.isdigit() and after.isdigit():  # a time of day, a ratio
        return None
    name, is_marked, is_open = _strip_name(text[begin : colon.start()])
    if not (
        0 < len(name) <= KEY_CHARACTERS
        and name[0].isalnum()
        and any(character.isalpha() for character in name)
        and len(name.split()) <= KEY_WORDS
    ):
        return None
    start, end = _trim_value(text, colon.end(), open_mark=is_open)
    is_marked |= bool(text[:begin].strip()) or end - start != len(text[colon.end() :].strip())
    key = unicodedata.normalize("NFC", name).casefold()
    value = text[start:end]
    span = (line.start() + start, line.start() + end)
    return Field(key, value, *span, normalise_answer(value), is_marked)


def _strip_name(text: str) -> tuple[str, bool, str]:
    """A field's name without marks, whether it had any, and the mark that is still open."""
    name = text.strip()
    mark = _EMPHASIS.match(name)
    if mark is None:
        return name, False, ""
    inner = name[mark.end() :]
    if inner.endswith(mark.group()):
        return inner[: -len(mark.group())].strip(), True, ""
    return inner.strip(), True, mark.group()


def _trim_value(text: str, start: int, *, open_mark: str) -> tuple[int, int]:
    """Where a value begins and ends: without white space, and without emphasis around all of it."""
    end = len(text.rstrip())
    while start < end and text[start].isspace():
        start += 1
    if open_mark and text.startswith(open_mark, start):  # **name:** value
        start += len(open_mark)
        while start < end and text[start].isspace():
            start += 1
    elif open_mark and text.endswith(open_mark, start, end):  # **name: value**
        end -= len(open_mark)
    mark = _EMPHASIS.match(text, start, end)
    size = len(mark.group()) if mark else 0
    if mark and end - start > 2 * size and text.endswith(mark.group(), start, end):
        start, end = start + size, end - size
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, max(start, end)


def check_form(
    parsed: Parsed, expected: Sequence[str], *, order: bool = True, extra: bool = False
) -> tuple[Problem, ...]:
    """Every breach of the format: those of the parser, then missing, extra and misplaced fields."""
    problems = list(parsed.problems)
    expected_names = [name.casefold() for name in expected]
    names = list(parsed.fields)
    missing = [name for name in expected_names if name not in parsed.fields]
    if missing:
        problems.append(Problem(f"missing: {', '.join(missing)}", final=False))
    if not extra:
        problems += [
            Problem(f"extra field {name!r}", _span_field(parsed, name))
            for name in names
            if name not in expected_names
        ]
    if order:
        known = [name for name in names if name in expected_names]
        in_order = [name for name in expected_names if name in parsed.fields]
        if known != in_order:
            first = next(a for a, b in zip(known, in_order, strict=True) if a != b)
            problems.append(
                Problem(f"order of fields: {first!r} too early", _span_field(parsed, first))
            )
        elif missing and known != expected_names[: len(known)]:
            # A field was skipped: no continuation can put it there.
            skipped = next(name for name in expected_names if name not in parsed.fields)
            problems.append(Problem(f"order of fields: {skipped!r} was skipped"))
    return tuple(problems)


def _span_field(parsed: Parsed, name: str) -> Span:
    value = parsed.fields[name]
    return Span(value.start, value.end, name)


def _parse_lines(text: str) -> Parsed:
    fields: dict[str, Field] = {}
    problems: list[Problem] = []
    last = ""
    if any(_FENCE_LINE.match(line.group()) for line in _LINE.finditer(text)):
        problems.append(Problem("a Markdown fence stands around the fields"))
    lines = list(_iterate_lines(text))
    ends_open = text[-1:] not in ("\n", "\r")
    for number, line in enumerate(lines, 1):
        field = _read_line(line)
        is_last = number == len(lines) and ends_open
        last = ""
        if field is None:
            span = Span(line.start(), line.end(), "not 'key: value'")
            # The last line of a cut answer may be a key whose colon was about to come.
            problems.append(Problem(f"line {number} is not 'key: value'", span, final=not is_last))
            continue
        value_span = Span(field.start, field.end, field.key)
        if field.key in fields:
            problems.append(Problem(f"field {field.key!r} appears twice", value_span))
            continue
        if field.marked:
            problems.append(Problem(f"Markdown stands around the field {field.key!r}", value_span))
        fields[field.key] = field
        last = field.key if is_last else ""
    if not lines:
        problems.append(Problem("the answer is empty", final=False))
    return Parsed(fields, tuple(problems), last)


def _parse_json(text: str) -> Parsed:
    body, shift = strip_fence(text)
    problems = [Problem("a Markdown fence stands around the JSON")] if shift else []
    try:
        value = read_json(body)
    except UnjudgeableJsonError as error:
        return Parsed({}, (*problems, Problem(str(error))), unjudgeable=str(error))
    except json.JSONDecodeError as error:
        # An error at the very end is what a cut leaves; json reports an open string at its start.
        open_end = error.pos >= len(body.rstrip()) or "Unterminated" in str(error)
        return Parsed({}, (*problems, Problem(f"not JSON: {error}", final=not open_end)))
    if not isinstance(value, dict):
        return Parsed({}, (*problems, Problem("the JSON is not an object")))
    fields = {}
    for key, raw in value.items():
        written = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
        start = body.find(json.dumps(raw, ensure_ascii=False), max(body.find(f'"{key}"'), 0))
        inner = start + (1 if isinstance(raw, str) else 0)
        span = (inner + shift, inner + shift + len(written)) if start >= 0 else (0, len(text))
        name = unicodedata.normalize("NFC", key).casefold()
        if name in fields:  # read_json knows keys that are the same to the letter
            problems.append(Problem(f"field {name!r} appears twice", Span(*span, name)))
            continue
        canonical = write_canonical(raw, normalise_answer)
        fields[name] = Field(name, written, *span, canonical)
    return Parsed(fields, tuple(problems))
