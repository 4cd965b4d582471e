"""Word n-grams of many texts at once, as 64-bit hashes in flat arrays.

A text's words are those of ``residency.text``. Rows are stored end to end; ``offsets`` (length
rows + 1) says where each begins. A text of fewer than n words counts as one n-gram of all its
words, so that short texts can still be compared (as equal or not).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from residency.text import words

U64 = np.ndarray[Any, np.dtype[np.uint64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Flat:
    """Hashes of all rows end to end; row i is ``values[offsets[i]:offsets[i + 1]]``."""

    values: U64
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> U64:
        """Hashes of one row, in order."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def owners(self) -> I64:
        """Row number of every value."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


class WordHasher:
    """Words to 64-bit hashes, each distinct word hashed once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def flat(self, texts: Iterable[str]) -> Flat:
        """Word hashes of every text."""
        known, out, offsets = self._known, [], [0]
        total = 0
        for text in texts:
            row = words(text)
            for word in row:
                if word not in known:
                    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8)
                    known[word] = int.from_bytes(digest.digest(), "little")
            out.append(np.fromiter((known[w] for w in row), np.uint64, len(row)))
            total += len(row)
            offsets.append(total)
        values = np.concatenate(out) if out else np.zeros(0, np.uint64)
        return Flat(values.astype(np.uint64), np.asarray(offsets, np.int64))


def grams(flat: Flat, n: int) -> Flat:
    """Hashes of every run of n words of every row (see the module for short rows)."""
    lengths = np.diff(flat.offsets)
    short = (lengths > 0) & (lengths < n)
    counts = np.where(short, 1, np.maximum(lengths - n + 1, 0))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    out = np.empty(int(offsets[-1]), np.uint64)
    if not len(out):
        return Flat(out, offsets)
    with np.errstate(over="ignore"):
        total = len(flat.values)
        if total >= n:
            rolling = np.zeros(total - n + 1, np.uint64)
            for k in range(n):
                rolling = rolling * _BASE + flat.values[k : total - n + 1 + k]
            long = np.repeat(~short & (counts > 0), counts)
            position = np.arange(len(out)) - np.repeat(offsets[:-1], counts)
            start = np.repeat(flat.offsets[:-1], counts) + position
            out[long] = rolling[start[long]]
        for index in np.flatnonzero(short):
            value = np.uint64(lengths[index])
            for word in flat.row(int(index)):
                value = value * _BASE + word
            out[offsets[index]] = value
        # Finalise (splitmix64), so that neighbouring values share no structure.
        out ^= out >> np.uint64(30)
        out *= np.uint64(0xBF58476D1CE4E5B9)
        out ^= out >> np.uint64(27)
        out *= np.uint64(0x94D049BB133111EB)
        out ^= out >> np.uint64(31)
    return Flat(out, offsets)


def jaccard_sorted(a: U64, b: U64) -> float:
    """Jaccard similarity of two arrays of hashes taken as sets; 0 when both are empty."""
    left, right = np.unique(a), np.unique(b)
    both = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - both
    return both / union if union else 0.0
