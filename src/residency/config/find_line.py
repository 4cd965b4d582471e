"""Where in a TOML file a setting stands, for messages about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_KEY_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]\]?\s*(?:#.*)?")
# Begun at no letter inside of a word, and never given back: a text of a million letters is one look.
_DEEP_KEY = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]++)[ \t]*+\.[ \t]*+){100}"""
)
_SETTING = re.compile(rf"\s*({_KEY})\s*=(.*)")


def find_line(text: str, path: Sequence[int | str]) -> int | None:
    """Number (from 1) of the line on which the setting begins, or its nearest table; None: neither.

    Args:
        text: a whole TOML file that can be parsed.
        path: the setting's keys from the outside in; what stands inside of a value is ignored.
    """
    wanted = [str(piece) for piece in path]
    table: list[str] = []
    best: tuple[int, int] | None = None
    closing = ""
    for number, line in enumerate(text.split("\n"), 1):
        if closing:  # inside of a text of several lines
            closing = "" if closing in line else closing
            continue
        if header := _TABLE.fullmatch(line):
            table = _split_key(header[1])
            depth = len(table) if table == wanted[: len(table)] else 0
        elif setting := _SETTING.match(line):
            keys = [*table, *_split_key(setting[1])]
            depth = len(keys) if keys == wanted[: len(keys)] else 0
            for quotes in ('"""', "'''"):
                if setting[2].count(quotes) == 1:
                    closing = quotes
        else:
            continue
        if depth and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def find_deep_key(text: str) -> int | None:
    """Line of a key of so many parts that reading it would take minutes; None where there is none."""
    match = _DEEP_KEY.search(text)
    return text.count("\n", 0, match.start()) + 1 if match else None


def _split_key(key: str) -> list[str]:
    return [piece.strip("\"'") for piece in re.findall(_KEY_PART, key)]
