"""Text as it comes in: refused where no tokenizer should see it, labels cleaned for every way out."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any


class RowError(Exception):
    """A row cannot be used. Args: the reason, and the field at fault."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field


def clean_text(text: str, field: str) -> str:
    """The text, unless it holds what no tokenizer should see.

    Raises:
        RowError: a NUL, half of a surrogate pair, or a byte that is not UTF-8.
    """
    if "\x00" in text:
        raise RowError(f"a NUL character at position {text.index(chr(0))}", field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        problem = (
            f"not UTF-8: byte 0x{code - 0xDC00:02x}"
            if 0xDC80 <= code <= 0xDCFF
            else f"half of a surrogate pair (U+{code:04X})"
        )
        raise RowError(f"{problem} at position {error.start}", field) from None
    return text


def clean_label(text: str) -> str:
    """A tag, group or name as one line that every renderer, terminal and database can hold.

    Control characters (Unicode class Cc), invisible marks that turn text around (Cf), private and
    unassigned characters and halves of surrogate pairs become spaces; runs of white space become
    one space. Zero-width joiners stay: some scripts need them.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    out = "".join(
        sign
        if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        or sign in "\u200c\u200d"
        else " "
        for sign in text
    )
    return " ".join(out.split())


def clean_value(value: Any, field: str, depth: int = 0) -> Any:
    """A value of JSON (a tool's arguments, say), every text in it clean and every number a number.

    Raises:
        RowError: a text that ``clean_text`` refuses, NaN or infinity, nesting of more than 50
            levels, or a type that JSON does not have.
    """
    if depth > 50:
        raise RowError("nested more than 50 levels deep", field)
    if isinstance(value, str):
        return clean_text(value, field)
    if isinstance(value, Mapping):
        return {
            clean_text(str(key), field): clean_value(item, field, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [clean_value(item, field, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError(f"a number is expected, found {value}", field)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise RowError(f"{type(value).__name__} is no value of JSON", field)


def is_missing(value: Any) -> bool:
    """Whether a field holds nothing: absent, empty text, or a table's NaN."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def describe_type(value: Any) -> str:
    """What a value is, in the words of a data file."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bytes):
        return "bytes"
    return type(value).__name__


def write_value(value: object) -> str:
    """A single value of a file as its file writes it: ``true``, not Python's ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
