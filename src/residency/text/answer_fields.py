"""Reading an answer: normal form, and the fields of a structured answer with their places."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from residency.nouns.finding import Span

Parse = Literal["lines", "json"]

_EDGE = " \t\n\r\"'`“”‘’«».,;:!?"
_LINE = re.compile(r"[^\n]+")
_PAIR = re.compile(r"\s*(?P<key>[^:\n]{1,60}?)[ \t]*:[ \t]*(?P<value>[^\n]*?)\s*\Z")
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\n(?P<body>.*?)\n?```\s*\Z", re.DOTALL)


def normalise(text: str) -> str:
    """NFKC, case folded, white space runs as one space, quotes and ``.,;:!?`` off both ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGE)


@dataclass(frozen=True)
class FieldValue:
    """One field's value, and where it stands: characters ``start:end`` of the answer."""

    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Problem:
    """A breach of the format. ``final`` is False when an answer that goes on could mend it."""

    message: str
    span: Span | None = None
    final: bool = True


@dataclass(frozen=True)
class Parsed:
    """The fields of an answer, by lower-cased name in order, and what is wrong with its form.

    ``last`` is the name of the field in which the text ends (a cut may have fallen there).
    """

    fields: dict[str, FieldValue]
    problems: tuple[Problem, ...] = ()
    last: str = ""


def parse_answer(text: str, parse: Parse) -> Parsed:
    """The fields of a structured answer.

    ``lines``: each line is ``key: value``; empty lines are ignored. ``json``: one object (a
    Markdown fence around it is read, and is a problem); values that are not strings are written as JSON.
    """
    return _parse_lines(text) if parse == "lines" else _parse_json(text)


def check_form(
    parsed: Parsed, expected: Sequence[str], *, order: bool = True, extra: bool = False
) -> tuple[Problem, ...]:
    """Every breach of the format: what the parser found, then missing, extra and misplaced fields."""
    problems = list(parsed.problems)
    wanted = [name.casefold() for name in expected]
    found = list(parsed.fields)
    missing = [name for name in wanted if name not in parsed.fields]
    if missing:
        problems.append(Problem(f"missing: {', '.join(missing)}", final=False))
    if not extra:
        problems += [
            Problem(f"extra field {name!r}", _span(parsed, name))
            for name in found
            if name not in wanted
        ]
    if order:
        known = [name for name in found if name in wanted]
        in_order = [name for name in wanted if name in parsed.fields]
        if known != in_order:
            first = next(a for a, b in zip(known, in_order, strict=True) if a != b)
            problems.append(Problem(f"order of fields: {first!r} too early", _span(parsed, first)))
        elif missing and known != wanted[: len(known)]:
            # A field was skipped: no continuation can put it in its place.
            skipped = next(name for name in wanted if name not in parsed.fields)
            problems.append(Problem(f"order of fields: {skipped!r} was skipped"))
    return tuple(problems)


def _span(parsed: Parsed, name: str) -> Span:
    value = parsed.fields[name]
    return Span(value.start, value.end, name)


def _parse_lines(text: str) -> Parsed:
    fields: dict[str, FieldValue] = {}
    problems: list[Problem] = []
    last = ""
    lines = [line for line in _LINE.finditer(text) if line.group().strip()]
    for number, line in enumerate(lines, 1):
        pair = _PAIR.match(line.group())
        is_last = number == len(lines)
        last = ""
        if pair is None:
            span = Span(line.start(), line.end(), "not 'key: value'")
            # The last line of a cut answer may be a key whose colon was about to come.
            ends_open = is_last and not text.endswith("\n")
            problems.append(
                Problem(f"line {number} is not 'key: value'", span, final=not ends_open)
            )
            continue
        name = pair["key"].casefold()
        start = line.start() + pair.start("value")
        value = FieldValue(pair["value"], start, start + len(pair["value"]))
        if name in fields:
            problems.append(
                Problem(f"field {name!r} appears twice", Span(value.start, value.end, name))
            )
            continue
        fields[name] = value
        last = name if is_last and not text.endswith("\n") else ""
    if not lines:
        problems.append(Problem("the answer is empty", final=False))
    return Parsed(fields, tuple(problems), last)


def _parse_json(text: str) -> Parsed:
    fence = _FENCE.match(text)
    body, shift = (fence["body"], fence.start("body")) if fence else (text, 0)
    problems = [Problem("a Markdown fence stands around the JSON")] if fence else []
    try:
        value = json.loads(body)
    except (json.JSONDecodeError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        # An error at the very end is what a cut leaves; json reports an open string at its start.
        open_end = at >= len(body.rstrip()) or "Unterminated" in str(error)
        return Parsed({}, (*problems, Problem(f"not JSON: {error}", final=not open_end)))
    if not isinstance(value, dict):
        return Parsed({}, (*problems, Problem("the JSON is not an object")))
    fields = {}
    for key, raw in value.items():
        shown = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
        start = body.find(json.dumps(raw, ensure_ascii=False), max(body.find(f'"{key}"'), 0))
        inner = start + (1 if isinstance(raw, str) else 0)
        place = (inner + shift, inner + shift + len(shown)) if start >= 0 else (0, len(text))
        fields[key.casefold()] = FieldValue(shown, *place)
    return Parsed(fields, tuple(problems))
