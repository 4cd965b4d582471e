"""Where a text that is still being written may be cut, so that each part is judged once, whole.

A cut is decided by the characters up to it and a bounded number after it, never by the pieces in which
the text arrives: however it is divided, the segments are the same. They end at line breaks and ends of
sentences; in a long passage without either, at a space that no suspect spans. A block of a private key
is one segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from residency.text.secret_forms import PRIVATE_KEY_END, PRIVATE_KEY_START

LONGEST_SENTENCE = 800
"""Characters after which a space is a cut, too."""
LOOKAHEAD = 200
"""Characters that must follow such a space: suspects with spaces in them (a card, an IBAN, a private
key's first line) are shorter."""
_END = re.compile(r"\n|[.!?…]['\"’”)\]]*\s|[。！？]")
_SPACE = re.compile(r"\s")

FindSpans = Callable[[str], list[tuple[int, int]]]
"""Start and end of what a cut may not divide."""


def split_segments(text: str, final: bool, find_spans: FindSpans) -> Iterator[tuple[int, int]]:
    """Start and end of each closed segment, in order.

    Args:
        final: the text is complete; the rest of it is the last segment.
    """
    start = 0
    while start < len(text):
        end = _find_end(text, start, final, find_spans)
        if end is None:
            if not final:
                return
            end = len(text)
        yield start, end
        start = end


def _find_end(text: str, start: int, final: bool, find_spans: FindSpans) -> int | None:
    """End of the segment that begins at ``start``; None where it cannot be told yet."""
    natural = _END.search(text, start)
    end = natural.end() if natural else None
    reach = end if end is not None else len(text)
    if reach - start > LONGEST_SENTENCE:
        space = _SPACE.search(text, start + LONGEST_SENTENCE, reach)
        if space is not None and (end is None or space.end() + LOOKAHEAD < end):
            if space.end() + LOOKAHEAD > len(text) and not final:
                return None
            end = _avoid_spans(text, start, space.end(), find_spans)
    if end is None:
        return None
    return _close_private_key(text, start, end)


def _avoid_spans(text: str, start: int, cut: int, find_spans: FindSpans) -> int:
    """The cut, or the beginning of the suspect that it would divide (its end, where that is nothing)."""
    for first, last in find_spans(text[start : cut + LOOKAHEAD]):
        if start + first < cut < start + last:
            return start + (first or last)
    return cut


def _close_private_key(text: str, start: int, end: int) -> int | None:
    """The end moved behind the block of a private key that opens before it."""
    openings = list(PRIVATE_KEY_START.finditer(text, start, end))
    if not openings or PRIVATE_KEY_END.search(text, openings[-1].end(), end):
        return end
    closing = PRIVATE_KEY_END.search(text, openings[-1].end())
    return closing.end() if closing else None
