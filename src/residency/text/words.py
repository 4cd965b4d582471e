"""Words, n-grams and overlap: what the data checks and the firewall mean by "close".

Words are lower-cased runs of letters, digits and inner apostrophes (Unicode). Scripts
without spaces (Chinese, Japanese, Thai) are taken character by character.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Sequence

_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)*", re.UNICODE
)


_BLANKS = bytes(n if chr(n).isalnum() or n == 39 else 32 for n in range(128)) + bytes(128)
"""ASCII characters, all but letters, digits and the apostrophe made blank."""


def words(text: str) -> list[str]:
    """Lower-cased words of a text."""
    lowered = text.lower()
    if not lowered.isascii():
        return _WORD.findall(lowered)
    # The same words more than twice as fast; only parts with an apostrophe need a closer look.
    parts = lowered.encode().translate(_BLANKS).decode().split()
    if "'" not in lowered:
        return parts
    return [w for part in parts for w in (_WORD.findall(part) if "'" in part else (part,))]


def ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """Every run of ``n`` tokens, in order; empty when there are fewer than ``n``."""
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def jaccard(a: Iterable[Hashable], b: Iterable[Hashable]) -> float:
    """|a ∩ b| / |a ∪ b| of two collections taken as sets; 0 when both are empty."""
    left = a if isinstance(a, frozenset) else set(a)
    right = b if isinstance(b, frozenset) else set(b)
    both = len(left & right)
    union = len(left) + len(right) - both
    return both / union if union else 0.0


def text_hash(text: str) -> str:
    """``sha256:`` and the full hex digest of the UTF-8 text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
