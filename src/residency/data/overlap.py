"""Contamination: rows that would teach the items by which the model is judged.

A row is contaminated by a protected item (dev, test, a benchmark) when, on what differs between
rows (``distinct``):

- they share a run of 13 words (Brown et al. 2020, appendix C), or
- the row holds at least 70 % of the item's runs of 8 words (Chowdhery et al. 2022, section 8), or
- they are near-duplicates (``similar``), or the same text.

A run of words that stands in at least 10 rows and 1 % of all rows, near-duplicates counted once,
is boilerplate (greetings, signatures, forms) and counts for neither rule.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.data.grams import I64, U64, Flat, grams

LONG, SHORT = 13, 8
SHORT_SHARE = 0.7
BOILERPLATE_ROWS = 10
BOILERPLATE_SHARE = 0.01


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

    def __init__(self, items: Flat) -> None:
        self.items = items
        self._index = {n: _Index(grams(items, n)) for n in (LONG, SHORT)}
        self._rows = 0

    def count(self, rows: Flat) -> None:
        """Learn from representative rows which n-grams are boilerplate (may be called often)."""
        self._rows += len(rows)
        for n, index in self._index.items():
            index.count(grams(rows, n))

    def find(self, rows: Flat) -> list[Overlap]:
        """Every row that overlaps an item, with the item that it overlaps most."""
        least = max(BOILERPLATE_ROWS, BOILERPLATE_SHARE * self._rows)
        found: dict[int, Overlap] = {}
        for row, items in self._index[SHORT].hits(grams(rows, SHORT), least).items():
            for item, count in items.items():
                share = count / max(1, self._index[SHORT].size(item, least))
                if share >= SHORT_SHARE and (row not in found or share > found[row].share):
                    found[row] = Overlap(row, item, "8-grams", min(1.0, share))
        for row, items in self._index[LONG].hits(grams(rows, LONG), least).items():
            if row not in found:
                item, count = items.most_common(1)[0]
                share = count / max(1, self._index[LONG].size(item, least))
                found[row] = Overlap(row, item, "13-gram", min(1.0, share))
        return [found[row] for row in sorted(found)]


class _Index:
    """Sorted distinct n-grams of the items, how many rows hold each, and whose they are."""

    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self._known: U64 = np.unique(flat.values)
        self._rows_with: I64 = np.zeros(len(self._known), np.int64)
        owners = flat.owners()
        self._owners: dict[int, list[int]] = defaultdict(list)
        for position, owner in zip(np.searchsorted(self._known, flat.values), owners, strict=True):
            if owner not in self._owners[int(position)]:
                self._owners[int(position)].append(int(owner))

    def _match(self, flat: Flat) -> tuple[I64, I64]:
        """Positions in ``_known`` of the values that are known, and the rows they stand in;
        each (row, n-gram) once."""
        if not len(self._known) or not len(flat.values):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        position = np.minimum(np.searchsorted(self._known, flat.values), len(self._known) - 1)
        hit = self._known[position] == flat.values
        pairs = np.unique(np.stack([flat.owners()[hit], position[hit]], axis=1), axis=0)
        return pairs[:, 1], pairs[:, 0]

    def count(self, flat: Flat) -> None:
        positions, _ = self._match(flat)
        np.add.at(self._rows_with, positions, 1)

    def hits(self, flat: Flat, least: float) -> dict[int, Counter[int]]:
        """Row → item → number of shared n-grams that are not boilerplate."""
        out: dict[int, Counter[int]] = defaultdict(Counter)
        for position, row in zip(*self._match(flat), strict=True):
            if self._rows_with[position] < least:
                out[int(row)].update(self._owners[int(position)])
        return out

    def size(self, item: int, least: float) -> int:
        """Distinct n-grams of an item that are not boilerplate."""
        own = np.unique(self._flat.row(item))
        return int((self._rows_with[np.searchsorted(self._known, own)] < least).sum())


def select(flat: Flat, rows: Sequence[int] | I64) -> Flat:
    """Some rows of a flat array, in the given order."""
    pieces = [flat.row(int(r)) for r in rows]
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
    values = np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)
    return Flat(values.astype(np.uint64), offsets)
