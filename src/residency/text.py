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


def words(text: str) -> list[str]:
    """Lower-cased words of a text."""
    return _WORD.findall(text.lower())


def ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """Every run of ``n`` tokens, in order; empty when there are fewer than ``n``."""
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def jaccard(a: Iterable[Hashable], b: Iterable[Hashable]) -> float:
    """|a ∩ b| / |a ∪ b| of two collections taken as sets; 0 when both are empty."""
    left, right = set(a), set(b)
    union = len(left | right)
    return len(left & right) / union if union else 0.0


def text_hash(text: str) -> str:
    """``sha256:`` and the full hex digest of the UTF-8 text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
