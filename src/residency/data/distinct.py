"""What differs between rows: their text without what they all share.

Overlap, near-duplicates and contamination are computed on the user's side of a row, without
(rule 1) system messages; (rule 2) an instruction that stands in many rows beside an input of
their own; (rule 3) words with which at least half of the rows begin or end. Otherwise every
row of a task with one instruction would look like every other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from residency.data.grams import Flat, WordHasher
from residency.types import Example

SHARED_ROWS = 10
SHARED_SHARE = 0.05
"""An instruction is shared when it stands in this many rows and this share of them."""

AFFIX_WORDS = 64
AFFIX_LEAST = 4
"""A common beginning or end counts from 4 words on, and up to 64."""


def user_text(example: Example, shared: frozenset[str] = frozenset()) -> str:
    """The user's words, without a shared instruction; the text itself for raw text."""
    if len(example.messages) == 1 and example.messages[0].role == "assistant":
        return example.messages[0].content
    parts = []
    for message in example.prompt:
        if message.role in ("user", "tool"):
            if message.input and message.content in shared:
                parts.append(message.input)
            else:
                parts.append(message.text)
    return "\n".join(parts)


def shared_instructions(examples: Sequence[Example]) -> frozenset[str]:
    """Instructions that stand in at least 10 rows and 5 % of them, each beside an input."""
    counts = Counter(m.content for e in examples for m in e.prompt if m.input)
    least = max(SHARED_ROWS, SHARED_SHARE * len(examples))
    return frozenset(text for text, count in counts.items() if count >= least)


def distinct_words(examples: Sequence[Example], hasher: WordHasher) -> Flat:
    """Word hashes of what differs, row by row (rules 1 to 3)."""
    shared = shared_instructions(examples)
    return strip_affixes(hasher.flat(user_text(e, shared) for e in examples))


def strip_affixes(flat: Flat) -> Flat:
    """Without the beginning and the end that at least half of the rows have in common.

    Rows that consist of nothing else keep their words.
    """
    rows = len(flat)
    if rows < 2 * SHARED_ROWS:
        return flat
    lengths = np.diff(flat.offsets)
    first = _common(flat, rows, from_end=False)
    last = _common(flat, rows, from_end=True)
    keep = lengths - first - last > 0
    start = flat.offsets[:-1] + np.where(keep, first, 0)
    stop = flat.offsets[1:] - np.where(keep, last, 0)
    if not first.any() and not last.any():
        return flat
    pieces = [flat.values[a:b] for a, b in zip(start, stop, strict=True)]
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
    return Flat(np.concatenate(pieces), offsets)


def _common(flat: Flat, rows: int, *, from_end: bool) -> np.ndarray:
    """Words to leave off each row at one end (0 where the row does not share them)."""
    active = np.arange(rows)
    depth = 0
    lengths = np.diff(flat.offsets)
    while depth < AFFIX_WORDS:
        active = active[lengths[active] > depth]
        if len(active) < rows / 2:
            break
        at = flat.offsets[active + 1] - 1 - depth if from_end else flat.offsets[active] + depth
        values, counts = np.unique(flat.values[at], return_counts=True)
        best = int(counts.argmax())
        if counts[best] < rows / 2:
            break
        active = active[flat.values[at] == values[best]]
        depth += 1
    out = np.zeros(rows, np.int64)
    if depth >= AFFIX_LEAST:
        out[active] = depth
    return out
