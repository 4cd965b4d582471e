"""Contamination: rows that would teach the items by which the model is judged.

A row is contaminated by a protected item (dev, test, a benchmark) when, on what differs between
rows (``distinct``):

- they share a run of 13 words (Brown et al. 2020, appendix C), or
- the row holds at least 70 % of the item's runs of 8 words (Chowdhery et al. 2022, section 8), or
- they are near-duplicates (``similar``), or the same text.

A run of words that stands in at least 10 rows and 1 % of all rows, near-duplicates counted once,
is boilerplate (greetings, signatures, forms) and counts for neither rule; nor does a run of 13
that holds a boilerplate run of 8.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from residency.overlap.word_grams import I64, U64, Grams, Words, grams

LONG, SHORT = 13, 8
SHORT_SHARE = 0.7
BOILERPLATE_ROWS = 10
BOILERPLATE_SHARE = 0.01

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Overlap:
    """Row ``row`` overlaps protected item ``item``: the rule, and its figure."""

    row: int
    item: int
    rule: str
    share: float


class ProtectedGrams:
    """The n-grams of protected items, against which any number of rows can be held.

    Args:
        items: word hashes of the protected items.
    """

    def __init__(self, items: Words) -> None:
        self._index = {n: _Index(grams(items, n)) for n in (LONG, SHORT)}
        self._parts = self._find_parts(items)
        self._rows = 0

    def _find_parts(self, items: Words) -> I64:
        """The runs of 8 within each known run of 13, shape (known runs of 13, 6); -1: none."""
        short, long = self._index[SHORT], self._index[LONG]
        parts = np.full((len(long.known), LONG - SHORT + 1), -1, np.int64)
        lengths = items.stops - items.starts
        for item in np.flatnonzero(lengths >= LONG):
            inner = np.searchsorted(short.known, short.items.row(int(item)))
            outer = np.searchsorted(long.known, long.items.row(int(item)))
            parts[outer] = np.lib.stride_tricks.sliding_window_view(inner, parts.shape[1])
        return parts

    def _boilerplate(self) -> dict[int, Flags]:
        least = max(BOILERPLATE_ROWS, BOILERPLATE_SHARE * self._rows)
        short, long = (self._index[n].rows_with >= least for n in (SHORT, LONG))
        if len(short):
            long = long | (np.append(short, False)[self._parts].any(axis=1))
        return {SHORT: short, LONG: long}

    def count(self, rows: Words) -> None:
        """Learn from representative rows which n-grams are boilerplate (may be called often)."""
        self._rows += len(rows)
        for part in _chunks(rows):
            for n, index in self._index.items():
                index.count(grams(part[1], n))

    def find(self, rows: Words) -> list[Overlap]:
        """Every row that overlaps an item, with the item that it overlaps most."""
        common = self._boilerplate()
        out: list[Overlap] = []
        for first, part in _chunks(rows):
            out += [replace(hit, row=first + hit.row) for hit in self._find(part, common)]
        return out

    def covered(self, rows: Words) -> set[int]:
        """Every item that some row overlaps."""
        common = self._boilerplate()
        short, long = self._index[SHORT], self._index[LONG]
        out: set[int] = set()
        for _, part in _chunks(rows):
            for items in short.hits(grams(part, SHORT), common[SHORT]).values():
                out.update(
                    item
                    for item, count in items.items()
                    if count >= SHORT_SHARE * max(1, short.size(item, common[SHORT]))
                )
            for items in long.hits(grams(part, LONG), common[LONG]).values():
                out.update(items)
        return out

    def _find(self, rows: Words, common: dict[int, Flags]) -> list[Overlap]:
        found: dict[int, Overlap] = {}
        short, long = self._index[SHORT], self._index[LONG]
        for row, items in short.hits(grams(rows, SHORT), common[SHORT]).items():
            for item, count in items.items():
                share = count / max(1, short.size(item, common[SHORT]))
                if share >= SHORT_SHARE and (row not in found or share > found[row].share):
                    found[row] = Overlap(row, item, "8-grams", share)
        for row, items in long.hits(grams(rows, LONG), common[LONG]).items():
            if row not in found:
                item, count = items.most_common(1)[0]
                size = max(1, long.size(item, common[LONG]))
                found[row] = Overlap(row, item, "13-gram", count / size)
        return [found[row] for row in sorted(found)]


def _chunks(rows: Words, size: int = 8192) -> Iterator[tuple[int, Words]]:
    for first in range(0, len(rows), size):
        yield first, rows.take(np.arange(first, min(first + size, len(rows))))


class _Index:
    """Sorted distinct n-grams of the items, how many rows hold each, and whose they are."""

    def __init__(self, flat: Grams) -> None:
        self.items = flat
        self.known: U64 = np.unique(flat.values)
        self.rows_with: I64 = np.zeros(len(self.known), np.int64)
        owners = flat.owners()
        self._owners: dict[int, list[int]] = defaultdict(list)
        for position, owner in zip(np.searchsorted(self.known, flat.values), owners, strict=True):
            if owner not in self._owners[int(position)]:
                self._owners[int(position)].append(int(owner))

    def _match(self, flat: Grams) -> tuple[I64, I64]:
        """Positions in ``known`` of the values that are known, and the rows they stand in;
        each (row, n-gram) once."""
        if not len(self.known) or not len(flat.values):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        position = np.minimum(np.searchsorted(self.known, flat.values), len(self.known) - 1)
        hit = self.known[position] == flat.values
        pairs = np.unique(np.stack([flat.owners()[hit], position[hit]], axis=1), axis=0)
        return pairs[:, 1], pairs[:, 0]

    def count(self, flat: Grams) -> None:
        positions, _ = self._match(flat)
        np.add.at(self.rows_with, positions, 1)

    def hits(self, flat: Grams, common: Flags) -> dict[int, Counter[int]]:
        """Row → item → number of shared n-grams that are not boilerplate."""
        out: dict[int, Counter[int]] = defaultdict(Counter)
        for position, row in zip(*self._match(flat), strict=True):
            if not common[position]:
                out[int(row)].update(self._owners[int(position)])
        return out

    def size(self, item: int, common: Flags) -> int:
        """Distinct n-grams of an item that are not boilerplate."""
        own = np.unique(self.items.row(item))
        return int((~common[np.searchsorted(self.known, own)]).sum())
