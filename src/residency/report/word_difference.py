"""Two texts word by word: what the second leaves out and what it adds, as HTML that escapes both."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

MOST_WORDS = 1500
"""Longer texts are shown as they are: comparing them word by word would take seconds."""
_MOST_PAIRS = 500_000
"""Above so many pairs of pieces, frequent ones are no anchors: a loop of one word would take seconds."""
_PIECES = re.compile(r"\s+|[\w'’]+|[^\w\s]")


def mark_difference(before: str, after: str) -> tuple[Markup, Markup]:
    """Both texts: words that only the first has in ``del``, those that only the second has in ``ins``."""
    first, second = _PIECES.findall(before), _PIECES.findall(after)
    if max(len(first), len(second)) > 2 * MOST_WORDS:
        return escape(before), escape(after)
    old, new = Markup(), Markup()
    is_long = len(first) * len(second) > _MOST_PAIRS
    matcher = SequenceMatcher(a=first, b=second, autojunk=is_long)
    for what, a, b, c, d in matcher.get_opcodes():
        gone, come = "".join(first[a:b]), "".join(second[c:d])
        if what == "equal":
            old += escape(gone)
            new += escape(come)
            continue
        old += Markup("<del>{}</del>").format(gone) if gone else Markup()
        new += Markup("<ins>{}</ins>").format(come) if come else Markup()
    return old, new
