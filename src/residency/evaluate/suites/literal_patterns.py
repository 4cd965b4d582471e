"""Texts of a suite as patterns that are looked for in answers."""

from __future__ import annotations

import re

_UNSPACED = re.compile(
    # Scripts that write no spaces between words: a word may begin and end anywhere.
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_INVISIBLE = r"[\u00ad\u200b-\u200f\u2060\ufeff]*"


def literal_pattern(text: str, *, whole_words: bool = False) -> str:
    """A text as a pattern in which any run of white space matches any other.

    Args:
        whole_words: a letter or digit at its edge must not continue a word of the answer. Where a
            script writes no spaces between words (Chinese, Japanese, Thai …) words have no edges.
    """
    text = re.sub(_INVISIBLE, "", text)
    body = r"\s+".join(_INVISIBLE.join(map(re.escape, word)) for word in text.split())
    if not whole_words or not body:
        return body
    stripped = text.strip()
    return _word_edge(stripped[0], r"(?<!\w)") + body + _word_edge(stripped[-1], r"(?!\w)")


def _word_edge(character: str, edge: str) -> str:
    is_word = character.isalnum() or character == "_"
    return edge if is_word and not _UNSPACED.match(character) else ""
