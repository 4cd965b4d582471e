"""The spelling of a row by which its split is decided. It never changes.

A row's split follows from the hash of its words. If a better way of finding words moved rows
between train and test, every stored project would leak; so this file keeps the first way, in which
scripts without spaces are cut into characters, whatever ``residency.text.words`` learns.
"""

from __future__ import annotations

import re

_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)*", re.UNICODE
)


def spell_split_key(text: str) -> str:
    """The text's words as they were cut in the first version, joined by spaces."""
    return " ".join(_WORD.findall(text.lower()))
