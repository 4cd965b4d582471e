"""n-grams of a few items, and which of many rows share how many of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from residency.overlap.word_grams import I64, U64, RowGrams, RowWords, hash_ngrams

_PAIRS = 4_000_000
"""Pairs of a row and an item that share an n-gram, looked at together: about 64 MB."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]


class GramIndex:
    """Sorted distinct n-grams of the items, how many rows hold each, and who holds them."""

    def __init__(self, words: RowWords, n: int) -> None:
        self.items = hash_ngrams(words, n)
        self.known: U64 = np.unique(self.items.values)
        self.rows_with: I64 = np.zeros(len(self.known), np.int64)
        positions = np.searchsorted(self.known, self.items.values)
        self._holders = _make_incidence(
            self.items.row_numbers(), positions, (len(words), len(self.known))
        )

    def match_grams(self, grams: RowGrams) -> tuple[I64, I64]:
        """Rows and positions in ``known`` of the n-grams that are known; each pair once."""
        if not len(self.known) or not len(grams.values):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        position = np.minimum(np.searchsorted(self.known, grams.values), len(self.known) - 1)
        hit = self.known[position] == grams.values
        width = len(self.known)
        pairs = np.unique(grams.row_numbers()[hit] * width + position[hit])
        return pairs // width, pairs % width

    def count_rows(self, grams: RowGrams) -> None:
        np.add.at(self.rows_with, self.match_grams(grams)[1], 1)

    def find_similar(
        self, grams: RowGrams, threshold: float, *, common: Flags | None = None, least: int = 1
    ) -> Iterator[tuple[int, int, float]]:
        """Row, item and Jaccard index of the pairs whose index reaches ``threshold``.

        Args:
            common: n-grams that do not count. least: n-grams that both sides must have.
        """
        rows, positions = self.match_grams(grams)
        sizes = _count_distinct(grams)
        counted = np.ones(len(self.known), bool) if common is None else ~common
        np.subtract.at(sizes, rows[~counted[positions]], 1)
        rows, positions = rows[counted[positions]], positions[counted[positions]]
        if not len(rows):
            return
        item_sizes = np.asarray(self._holders @ counted.astype(np.int64)).ravel()
        matrix = _make_incidence(rows, positions, (len(grams), len(self.known)))
        held_by = np.diff(self._by_gram.indptr)
        costs = np.cumsum(np.bincount(rows, held_by[positions], len(grams)))
        for part in _part_by_cost(costs):
            shared = (matrix[part] @ self._holders.T).tocoo()
            numbers = shared.row + part.start
            union = sizes[numbers] + item_sizes[shared.col] - shared.data
            score = shared.data / np.maximum(union, 1)
            enough = np.minimum(sizes[numbers], item_sizes[shared.col]) >= least
            for n in np.flatnonzero((score >= threshold) & enough):
                yield int(numbers[n]), int(shared.col[n]), float(score[n])

    def list_holders(self, position: int) -> list[int]:
        """Items that hold the n-gram at a position of ``known``."""
        begin, end = self._by_gram.indptr[position : position + 2]
        return [int(item) for item in self._by_gram.indices[begin:end]]

    @cached_property
    def _by_gram(self) -> Any:
        return self._holders.tocsc()


def _part_by_cost(costs: np.ndarray[Any, np.dtype[Any]]) -> Iterator[slice]:
    """Consecutive rows whose costs sum to at most ``_PAIRS``; ``costs`` are running sums."""
    begin = 0
    while begin < len(costs):
        spent = costs[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(costs, spent + _PAIRS, side="right")))
        yield slice(begin, end)
        begin = end


def _make_incidence(rows: I64, columns: I64, shape: tuple[int, int]) -> Any:
    """A sparse matrix of ones at these positions; each position once."""
    matrix = sparse.csr_matrix((np.ones(len(rows), np.int64), (rows, columns)), shape)
    matrix.data[:] = 1
    return matrix


def _count_distinct(grams: RowGrams) -> I64:
    """Distinct n-grams of every row."""
    order = np.lexsort((grams.values, grams.row_numbers()))
    rows, values = grams.row_numbers()[order], grams.values[order]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
    return np.bincount(rows[fresh], minlength=len(grams)).astype(np.int64)
