"""What people add to JSON by hand: comments, and commas before a closing bracket."""

from __future__ import annotations

import re

_COMMENT = r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_BETWEEN = re.compile(rf"(?:\s|{_COMMENT})*+")
# Strings and comments that are not closed end with the text: each sign is looked at once.
_PIECES = re.compile(rf'"(?:[^"\\]|\\.)*+"?|{_COMMENT}|,(?=(?:\s|{_COMMENT})*+[}}\]])', re.DOTALL)


def remove_comments(text: str) -> str:
    """The text without comments and commas before closing brackets; strings and line ends stay."""
    return _PIECES.sub(lambda m: m[0] if m[0][0] == '"' else "\n" * m[0].count("\n"), text)


def skip_comments(text: str) -> int:
    """Where the first sign stands that is neither white space nor part of a comment."""
    match = _BETWEEN.match(text)
    return match.end() if match else 0
