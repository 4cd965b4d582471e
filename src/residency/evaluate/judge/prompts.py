"""The prompts of a judge, and how its answer is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.nouns.example import Example, Message
from residency.text.reasoning import find_answer

PROMPT_VERSION = 1
"""Raised when the wording below changes: other words are another measurement."""

_CHECK = """You check one answer against one criterion, and nothing else.
Write one JSON object and nothing besides it:
{{"reason": "<one sentence>", "verdict": "{first}" or "{second}"}}
"{first}" means that {meaning_first}; "{second}" means that {meaning_second}."""

_COMPARE = """You compare two answers to one request by one criterion, and nothing else.
Neither the order of the answers nor their length matters by itself.
Write one JSON object and nothing besides it:
{"reason": "<one sentence>", "verdict": "first" or "second" or "tie"}"""

COMPARED = ("first", "second", "tie")
"""The verdicts on a pair."""

MOST_OBJECTS = 200
"""Beginnings of objects that are tried, from the end of an answer."""
MAX_REASON = 300
"""Characters of a reason where the server keeps to a schema: about 75 tokens of 200."""

_MEANING = {"pass": "the answer meets the criterion", "fail": "it does not"}


@dataclass(frozen=True)
class Rubric:
    """The judge's question.

    ``criterion`` is one yes-or-no question about an answer; ``show_reference`` gives the judge
    the example's reference answer to compare with.
    """

    name: str
    criterion: str
    show_reference: bool = False


def verdict_schema(verdicts: Sequence[str]) -> dict[str, Any]:
    """JSON schema of the object that the wording asks for: first the reason, then the verdict.

    The reason is bounded, so that a small model comes to its verdict within the budget.
    """
    return {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": MAX_REASON},
            "verdict": {"type": "string", "enum": list(verdicts)},
        },
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }


_OPENS_OBJECT = re.compile(r"\{\s*[\"}]")
"""Where an object begins, not a brace of prose."""


def read_verdict(text: str, known: set[str]) -> tuple[str, str] | None:
    """Verdict and reason from a judge's answer, None when it holds no valid verdict.

    Of several JSON objects the last valid one counts (a model may think aloud first); one inside
    another is none, and where an object is broken nothing behind its beginning is read: the judged
    answer may be quoted there. What stands in the model's reasoning is no verdict, nor is a verdict
    that is given twice and differently.
    """
    answer = find_answer(text, cut=True)
    text = text[answer.start : answer.end]
    decoder = json.JSONDecoder(object_pairs_hook=_join_pairs)
    last, position = None, 0
    for _ in range(MOST_OBJECTS):
        start = text.find("{", position)
        if start < 0:
            break
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            if _OPENS_OBJECT.match(text, start):
                return None
            position = start + 1
            continue
        verdict = value.get("verdict")
        if isinstance(verdict, str) and verdict.strip().casefold() in known:
            last = verdict.strip().casefold(), str(value.get("reason", ""))
    else:
        return None  # more braces than any judge writes
    return last


def _join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if any(key == "verdict" and other != value[key] for key, other in pairs):
        raise ValueError("two verdicts")
    return value


def check_prompt(
    rubric: Rubric, example: Example, answer: str, order: tuple[str, str]
) -> tuple[Message, ...]:
    """Is the criterion met by this answer? ``order`` is that of the two verdicts."""
    system = _CHECK.format(
        first=order[0],
        second=order[1],
        meaning_first=_MEANING[order[0]],
        meaning_second=_MEANING[order[1]],
    )
    return (
        Message("system", system),
        Message("user", _write_body(rubric, example, {"Answer to check": answer})),
    )


def compare_prompt(
    rubric: Rubric, example: Example, first: str, second: str
) -> tuple[Message, ...]:
    """Which of two answers meets the criterion better?"""
    body = _write_body(rubric, example, {"First answer": first, "Second answer": second})
    return Message("system", _COMPARE), Message("user", body)


def _write_body(rubric: Rubric, example: Example, answers: Mapping[str, str]) -> str:
    parts: dict[str, Any] = {"Criterion": rubric.criterion, "Request": example.prompt_text}
    if rubric.show_reference and example.reference is not None:
        parts["Reference answer"] = example.reference
    # Marks around the answers keep an instruction inside one from reading as ours.
    blocks = [f"{title}:\n<<<\n{text}\n>>>" for title, text in (parts | dict(answers)).items()]
    return "\n\n".join(blocks)
