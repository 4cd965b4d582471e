"""Text that anybody wrote, made harmless for a terminal."""

from __future__ import annotations

import re
import unicodedata

_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\U000110bd\U000110cd"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""Characters that are not shown but act: control, bidirectional overrides, tags, lone surrogates."""
_HARMLESS = "\n\t\u200c\u200d"
"""Line breaks, and the joiners that emoji and Persian are written with."""


def make_safe(text: str) -> str:
    """The text without characters that could drive the terminal, each replaced by U+FFFD."""
    return _SUSPECT.sub(lambda c: c[0] if _is_harmless(c[0]) else "\ufffd", text)


def escape_in_json(text: str) -> str:
    """JSON in which those characters stand as ``\\uXXXX``: the same data, harmless to look at."""
    return _SUSPECT.sub(lambda c: c[0] if c[0] in "\n\t" else _escape(c[0]), text)


def _is_harmless(character: str) -> bool:
    if character in _HARMLESS:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
