"""Text from models and files before it is shown: no character that drives what shows it."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    # control characters but tab and line ends; surrogates; what no page may hold; the marks that
    # turn the direction of the text around them
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)


def clean_text(text: str) -> str:
    """The text with a mark in place of every control character."""
    return _CONTROL.sub("\ufffd", text)
