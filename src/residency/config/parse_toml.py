"""TOML of the user's, read in one place: whatever stands in the file, it is read or refused."""

from __future__ import annotations

import tomllib
from typing import Any

from residency.config.find_line import find_deep_key

LARGEST_TEXT = 1 << 24
"""Characters of the largest file that is read."""


class TomlTextError(ValueError):
    """The text is not TOML, or is out of all proportion."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        TomlTextError: it is not TOML, or too large, too deep, or with numbers too long to read.
    """
    if len(text) > LARGEST_TEXT:
        raise TomlTextError(f"larger than {LARGEST_TEXT} characters")
    if line := find_deep_key(text):
        raise TomlTextError(f"line {line}: a key of more parts than any setting has")
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise TomlTextError("not valid TOML: lists or tables in one another without end") from None
    except ValueError as error:  # tomllib's error, and integers of thousands of digits
        raise TomlTextError(f"not valid TOML: {error}") from None
