"""Words, n-grams and overlap: what the data checks and the firewall mean by "close".

A word is a run of letters, their combining marks and digits, with inner apostrophes and joiners.
Scripts that set no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are cut by
ICU's dictionaries (Unicode UAX 29 and its tailoring), so that a word count, a run of 13 words or a
Jaccard index means the same there as in English. Korean sets spaces and is cut at them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence

import regex
from icu4py.breakers import WordBreaker

_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}"
)
_APOSTROPHES = "'’\u05f3\u05f4\u055a"
_PLAIN_WORD = re.compile(rf"[^\W_]+(?:[{_APOSTROPHES}][^\W_]+)*")
"""Words of a text without marks, joiners and scripts that set no spaces."""
_WORD = regex.compile(
    r"[\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d]*"
    rf"(?:[{_APOSTROPHES}][\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}\u200c\u200d]*)*"
)
_HAS_UNSPACED = regex.compile(f"[{_UNSPACED}]")
_NEEDS_CARE = re.compile(
    r"[^\0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u0590\u1e00-\u200b\u200e-\u205f"
    r"\u2070-\u20cf\u2100-\u2ddf\u3000-\u3004\uac00-\ud7a3]"
)
"""Anything beyond the blocks of Latin, Greek, Cyrillic, Armenian, symbols and Korean syllables."""
_UNSPACED_RUN = regex.compile(rf"[{_UNSPACED}\p{{M}}\u200c\u200d]+|[^{_UNSPACED}]+")
_IGNORED = dict.fromkeys(map(ord, "\u00ad\u2060\ufeff"))
"""Soft hyphen, word joiner, byte order mark: they may stand inside a word and mean nothing."""

_BLANKS = bytes(n if chr(n).isalnum() or n == 39 else 32 for n in range(128)) + bytes(128)
"""ASCII characters, all but letters, digits and the apostrophe made blank."""


def split_words(text: str) -> list[str]:
    """Lower-cased words of a text (see the module for what a word is); typeset apostrophes are plain."""
    lowered = text.lower()
    if not lowered.isascii():
        return _split_unicode(lowered.replace("\u2019", "'"))
    # The same words more than twice as fast; only parts with an apostrophe need a closer look.
    parts = lowered.encode().translate(_BLANKS).decode().split()
    if "'" not in lowered:
        return parts
    return [w for part in parts for w in (_PLAIN_WORD.findall(part) if "'" in part else (part,))]


def _split_unicode(lowered: str) -> list[str]:
    if not _NEEDS_CARE.search(lowered):
        return _PLAIN_WORD.findall(lowered)
    composed = unicodedata.normalize("NFC", lowered).translate(_IGNORED)
    runs: list[str] = _WORD.findall(composed)
    if not _HAS_UNSPACED.search(composed):
        return runs
    parts = [
        part
        for run in runs
        for part in (_UNSPACED_RUN.findall(run) if _HAS_UNSPACED.search(run) else (run,))
    ]
    # One call for all parts, since a dictionary costs much to open; a line break parts them.
    unspaced = [part for part in parts if _HAS_UNSPACED.match(part)]
    segments = map(str, WordBreaker("\n".join(unspaced), "en"))
    cut = set(unspaced)
    words: list[str] = []
    for part in parts:
        if part in cut:
            # Up to and with the line break that ends this part.
            words += [s for s in iter(lambda: next(segments, "\n"), "\n") if s[0].isalnum()]
        else:
            words.append(part)
    return words


def place_words(text: str) -> list[tuple[str, int, int]]:
    """Runs between white space and their places, marks included; scripts that set no spaces are cut
    into their words."""
    places: list[tuple[str, int, int]] = []
    for run in re.finditer(r"\S+", text):
        if not _HAS_UNSPACED.search(run[0]):
            places.append((run[0], *run.span()))
            continue
        at = run.start()
        for segment in map(str, WordBreaker(run[0], "en")):
            if any(map(str.isalnum, segment)):
                places.append((segment, at, at + len(segment)))
            at += len(segment)
    return places


def list_ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """Every run of ``n`` tokens, in order; empty when there are fewer than ``n``."""
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def jaccard_similarity(a: Iterable[Hashable], b: Iterable[Hashable]) -> float:
    """|a ∩ b| / |a ∪ b| of two collections taken as sets; 0 when both are empty."""
    left = a if isinstance(a, frozenset) else set(a)
    right = b if isinstance(b, frozenset) else set(b)
    both = len(left & right)
    union = len(left) + len(right) - both
    return both / union if union else 0.0


def hash_text(text: str) -> str:
    """``sha256:`` and the full hex digest of the UTF-8 text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
