"""Reading JSON that a model wrote, strictly, and comparing it by what it means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

FENCE = re.compile(r"\A\s*```[ \t]*[\w+-]*[ \t]*\r?\n(?P<body>.*?)\r?\n?[ \t]*```\s*\Z", re.DOTALL)
"""A Markdown fence around a whole answer."""

MAX_LEVELS = 100
"""Deepest nesting that is judged: validators recurse."""


class UnjudgeableJsonError(ValueError):
    """JSON that no check can judge: nested too deep, or a number of thousands of digits."""


def read_json(text: str) -> Any:
    """The value of a JSON text by RFC 8259.

    Raises:
        json.JSONDecodeError: it is not JSON, says NaN or Infinity, or names a key twice.
        UnjudgeableJsonError: it is nested deeper than ``MAX_LEVELS``, or a number is too long.
    """

    def refuse_constant(name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is not JSON", text, max(text.find(name), 0))

    def join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            position = max(text.rfind(json.dumps(twice, ensure_ascii=False)), 0)
            raise json.JSONDecodeError(f"the key {twice!r} appears twice", text, position)
        return value

    try:
        value = json.loads(
            text, parse_constant=refuse_constant, object_pairs_hook=join_pairs, parse_float=_number
        )
    except (json.JSONDecodeError, UnjudgeableJsonError):
        raise
    except RecursionError:
        raise UnjudgeableJsonError(f"nested deeper than {MAX_LEVELS} levels") from None
    except ValueError as error:  # Python's limit on the digits of an integer
        raise UnjudgeableJsonError(f"a number is too long to be read ({error})") from None
    if _is_deeper(value, MAX_LEVELS):
        raise UnjudgeableJsonError(f"nested deeper than {MAX_LEVELS} levels")
    return value


def strip_fence(text: str) -> tuple[str, int]:
    """The text inside a Markdown fence around all of it, and where it begins."""
    fence = FENCE.match(text)
    return (fence["body"], fence.start("body")) if fence else (text, 0)


def write_canonical(value: Any, normalise: Callable[[str], str] = str) -> str:
    """A text that is equal for JSON values that mean the same.

    The order of keys and the spelling of numbers (1, 1.0, 1e0) make no difference; ``null`` and
    ``"null"``, 1 and ``"1"`` and ``true`` do. ``normalise`` brings strings into a normal form.
    """
    if isinstance(value, dict):
        rows = sorted((str(key), write_canonical(v, normalise)) for key, v in value.items())
        return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in rows) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write_canonical(v, normalise) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(normalise(value), ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return repr(value)
    return str(number.normalize()) if number else "0"


def _number(text: str) -> float:
    """A number with a point or an exponent; one beyond the range of floats cannot be judged."""
    value = float(text)
    if math.isinf(value):
        raise UnjudgeableJsonError(f"the number {text[:30]} is too large")
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether a value is nested deeper than so many levels; without recursion."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
