"""How near rows come to items that they must not repeat: the nearest of them, and a figure.

This tells people what the firewall's rule decides on; it decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from residency.nouns.example import Example
from residency.overlap.compared_rows import compare_examples
from residency.overlap.gram_index import GramIndex
from residency.overlap.word_grams import hash_ngrams

_LEAST = 0.02
"""A pair of texts that shares less is no neighbour."""


class NearestItems:
    """Items (of dev, or test), against which a few rows at a time are held."""

    def __init__(self, items: Sequence[Example]) -> None:
        self._items = list(items)
        self._index = GramIndex(compare_examples(self._items).bodies, 1) if items else None

    def find_nearest(self, rows: Sequence[Example]) -> list[tuple[Example, float] | None]:
        """For each row the item that shares most of its words: Jaccard index of the words of both."""
        nearest: list[tuple[Example, float] | None] = [None] * len(rows)
        if self._index is None or not rows:
            return nearest
        grams = hash_ngrams(compare_examples(list(rows)).bodies, 1)
        for row, item, share in self._index.find_similar(grams, _LEAST):
            known = nearest[row]
            if known is None or share > known[1]:
                nearest[row] = self._items[item], share
        return nearest
