"""Near-duplicates: MinHash with banding finds candidates, exact Jaccard decides.

Signatures are made by rensa (R-MinHash); bands are matched here, so that each candidate can be
checked against the true 5-gram sets and a row in a crowded bucket is compared with at most
``BUCKET_REPRESENTATIVES`` earlier ones. Rows are taken in order: a row is only ever compared
with earlier ones, so appending rows changes nothing about those before.
"""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from rensa import RMinHash, RMinHashLSH

from residency.overlap.word_grams import I64, RowGrams, RowWords, hash_ngrams
from residency.text.words import jaccard_similarity

I32 = np.ndarray[Any, np.dtype[np.int32]]
SHINGLE = 5
PERMUTATIONS = 128
SEED = 42
RECALL = 0.995
"""Chance, by the banding formula, that a pair at the threshold becomes a candidate."""
BUCKET_REPRESENTATIVES = 8
_CHUNK = 8192
_TOGETHER = 1 << 23
"""Words of candidates whose n-grams are held at once: 64 MB."""
_KEPT = 1 << 19
"""n-grams of recent rows held as sets: about 50 MB."""
FLAGGED_ROWS = 200_000
"""Up to here rensa's index first says which rows share a band (it needs 1 KB a row)."""


@dataclass(frozen=True)
class Near:
    """An earlier row whose prompt is near, how near (Jaccard), and whether the answer is too."""

    row: int
    score: float
    duplicate: bool


def bands_for(threshold: float) -> tuple[int, int]:
    """Bands and rows a band: the most selective banding whose recall at ``threshold`` is ≥ 99.5 %.

    1 − (1 − tʳ)ᵇ with r·b ≤ 128 (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
    """
    for size in range(16, 1, -1):
        bands = PERMUTATIONS // size
        if 1 - (1 - threshold**size) ** bands >= RECALL:
            return bands, size
    return PERMUTATIONS, 1


def band_hashes(words: RowWords, threshold: float) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """One 32-bit hash a band and row, shape (bands, rows)."""
    bands, size = bands_for(threshold)
    out = np.zeros((bands, len(words)), np.uint32)
    weights = np.random.default_rng(0).integers(1, 2**63, size, dtype=np.uint64) | np.uint64(1)
    for begin in range(0, len(words), _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, len(words)))
        shingles = hash_ngrams(words.take(rows), SHINGLE)
        matrix = _make_signatures(shingles, bands * size)
        digests = np.frombuffer(
            array("I", itertools.chain.from_iterable(matrix.to_rows())), np.uint32
        )
        with np.errstate(over="ignore"):
            mixed = digests.reshape(len(rows), bands, size).astype(np.uint64) * weights
            out[:, rows] = (mixed.sum(axis=2) >> np.uint64(32)).astype(np.uint32).T
    return out


def _make_signatures(shingles: RowGrams, size: int) -> Any:
    return RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.values, shingles.offsets.astype(np.uint64), size, SEED
    )


def sharing_rows(words: RowWords, threshold: float) -> I64:
    """Rows that share a band with another row, and perhaps others (all rows of a large table)."""
    filled = words.stops > words.starts
    if not 0 < len(words) <= FLAGGED_ROWS:
        return np.flatnonzero(filled)
    bands, size = bands_for(threshold)
    index = RMinHashLSH(threshold, bands * size, bands)
    matrix = _make_signatures(hash_ngrams(words, SHINGLE), bands * size)
    flags = np.asarray(index.query_duplicate_flags_matrix_one_shot(matrix), bool)
    return np.flatnonzero(flags & filled)


def find_near(prompts: RowWords, answers: RowWords, threshold: float) -> dict[int, Near]:
    """For each row, the first earlier row whose prompt's 5-grams have Jaccard ≥ ``threshold``.

    A *duplicate* has a near answer as well (two answers without words count as near); a row
    whose prompt is near but whose answer differs is a paraphrase or a contradiction. A
    duplicate is preferred over another near row that comes earlier.
    """
    rows = sharing_rows(prompts, threshold)
    if not len(rows):
        return {}
    members, buckets, count = _find_buckets(band_hashes(prompts.take(rows), threshold))
    candidates, firsts = np.unique(members, return_index=True)
    pairs = _Pairs(prompts, answers, rows[candidates], threshold)
    held, filled = array("i", bytes(4 * BUCKET_REPRESENTATIVES * count)), bytearray(count)
    near_rows: dict[int, Near] = {}
    ends = np.append(firsts[1:], len(members))
    for candidate, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
        own_buckets = [(b, b * BUCKET_REPRESENTATIVES) for b in buckets[first:end].tolist()]
        others = sorted({o for b, start in own_buckets for o in held[start : start + filled[b]]})
        near = pairs.first_near(candidate, others)
        if near is not None:
            near_rows[pairs.row(candidate)] = near
            if near.duplicate:
                continue
        for b, start in own_buckets:
            if filled[b] < BUCKET_REPRESENTATIVES:
                held[start + filled[b]] = candidate
                filled[b] += 1
    return near_rows


def _find_buckets(hashes: np.ndarray[Any, np.dtype[np.uint32]]) -> tuple[I32, I32, int]:
    """Every (row, bucket) where rows share a band, by row; and the number of such buckets."""
    members, buckets, count = [], [], 0
    for band in hashes:
        order = np.argsort(band, kind="stable")
        equal = band[order][1:] == band[order][:-1]
        next_equal, last_equal = np.append(equal, False), np.append(False, equal)
        shared = next_equal | last_equal
        number = np.cumsum(next_equal & ~last_equal)[shared]
        members.append(order[shared].astype(np.int32))
        buckets.append((number + (count - 1)).astype(np.int32))
        count += int(number[-1]) if len(number) else 0
    row, bucket = np.concatenate(members), np.concatenate(buckets)
    by_row = np.argsort(row, kind="stable")
    return row[by_row], bucket[by_row], count


class _Pairs:
    """Exact comparison of candidates, which are numbered as in ``rows``."""

    def __init__(self, prompts: RowWords, answers: RowWords, rows: I64, threshold: float) -> None:
        self._rows, self._threshold = rows, threshold
        self._prompts, self._answers = _Sets(prompts.take(rows)), _Sets(answers.take(rows))

    def row(self, candidate: int) -> int:
        """The row that a candidate is."""
        return int(self._rows[candidate])

    def first_near(self, candidate: int, others: list[int]) -> Near | None:
        best: Near | None = None
        for other in others:
            score = jaccard_similarity(self._prompts[candidate], self._prompts[other])
            if score < self._threshold:
                continue
            left, right = self._answers[candidate], self._answers[other]
            if (not left and not right) or jaccard_similarity(left, right) >= self._threshold:
                return Near(self.row(other), score, True)
            best = best or Near(self.row(other), score, False)
        return best


class _Sets:
    """The n-grams of rows as sets. Those of the first rows are hashed together, as far as
    ``_TOGETHER`` words go, the others one by one; recently used sets stay."""

    def __init__(self, words: RowWords) -> None:
        self._words = words
        ends = np.cumsum(words.stops - words.starts)
        self._together = int(np.searchsorted(ends, _TOGETHER, side="right"))
        self._grams = hash_ngrams(words.take(np.arange(self._together)), SHINGLE)
        self._known: OrderedDict[int, frozenset[int]] = OrderedDict()
        self._held = 0

    def __getitem__(self, number: int) -> frozenset[int]:
        known = self._known.get(number)
        if known is None:
            together = number < self._together
            values = (
                self._grams.row(number)
                if together
                else hash_ngrams(self._words.take([number]), SHINGLE).values
            )
            known = self._known[number] = frozenset(values.tolist())
            self._held += len(known)
            while self._held > _KEPT and len(self._known) > 1:
                self._held -= len(self._known.popitem(last=False)[1])
        return known
