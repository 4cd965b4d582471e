"""Near-duplicates: MinHash with banding finds candidates, exact Jaccard decides.

Signatures are made by rensa (R-MinHash); bands are matched here, so that each candidate can be
checked against the true 5-gram sets and a row in a crowded bucket is compared with at most
``BUCKET_REPRESENTATIVES`` earlier ones. Rows are taken in order: a row is only ever compared
with earlier ones, so appending rows changes nothing about those before.
"""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from rensa import RMinHash, RMinHashLSH

from residency.data.grams import I64, U64, Grams, Words, grams, jaccard_sets

SHINGLE = 5
PERMUTATIONS = 128
SEED = 42
RECALL = 0.995
"""Chance, by the banding formula, that a pair at the threshold becomes a candidate."""
BUCKET_REPRESENTATIVES = 8
_CHUNK = 8192
_CACHED_ROWS = 4096
FLAGGED_ROWS = 200_000
"""Up to here rensa's own index first says which rows share a band (it needs 1 KB a row)."""


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


def band_hashes(words: Words, threshold: float) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """One 32-bit hash a band and row, shape (bands, rows)."""
    bands, size = bands_for(threshold)
    out = np.zeros((bands, len(words)), np.uint32)
    weights = np.random.default_rng(0).integers(1, 2**63, size, dtype=np.uint64) | np.uint64(1)
    for begin in range(0, len(words), _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, len(words)))
        shingles = grams(words.take(rows), SHINGLE)
        matrix = _signatures(shingles, bands * size)
        digests = np.frombuffer(
            array("I", itertools.chain.from_iterable(matrix.to_rows())), np.uint32
        )
        with np.errstate(over="ignore"):
            mixed = digests.reshape(len(rows), bands, size).astype(np.uint64) * weights
            out[:, rows] = (mixed.sum(axis=2) >> np.uint64(32)).astype(np.uint32).T
    return out


def _signatures(shingles: Grams, size: int) -> Any:
    return RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.values, shingles.offsets.astype(np.uint64), size, SEED
    )


def sharing_rows(words: Words, threshold: float) -> I64:
    """Rows that share a band with another row, and perhaps others (all rows of a large table)."""
    filled = words.stops > words.starts
    if not 0 < len(words) <= FLAGGED_ROWS:
        return np.flatnonzero(filled)
    bands, size = bands_for(threshold)
    index = RMinHashLSH(threshold, bands * size, bands)
    matrix = _signatures(grams(words, SHINGLE), bands * size)
    flags = np.asarray(index.query_duplicate_flags_matrix_one_shot(matrix), bool)
    return np.flatnonzero(flags & filled)


def find_near(prompts: Words, answers: Words, threshold: float) -> dict[int, Near]:
    """For each row, the first earlier row whose prompt's 5-grams have Jaccard ≥ ``threshold``.

    A *duplicate* has a near answer as well (two answers without words count as near); a row
    whose prompt is near but whose answer differs is a paraphrase or a contradiction. A
    duplicate is preferred over another near row that comes earlier.
    """
    rows = sharing_rows(prompts, threshold)
    candidates = np.zeros(len(rows), bool)
    hashes = band_hashes(prompts.take(rows), threshold)
    for band in hashes:
        order = np.argsort(band, kind="stable")
        equal = band[order][1:] == band[order][:-1]
        candidates[order[1:][equal]] = True
        candidates[order[:-1][equal]] = True
    pairs = _Pairs(prompts, answers, threshold)
    representatives: dict[tuple[int, int], list[int]] = defaultdict(list)
    found: dict[int, Near] = {}
    for index in np.flatnonzero(candidates):
        row = int(rows[index])
        keys = list(enumerate(hashes[:, index].tolist()))
        others = sorted({other for key in keys for other in representatives.get(key, ())})
        near = pairs.first_near(row, others)
        if near is not None:
            found[row] = near
            if near.duplicate:
                continue
        for key in keys:
            if len(representatives[key]) < BUCKET_REPRESENTATIVES:
                representatives[key].append(row)
    return found


class _Pairs:
    """Exact comparison of candidates; the n-grams of recent rows are kept."""

    def __init__(self, prompts: Words, answers: Words, threshold: float) -> None:
        self._prompts, self._answers, self._threshold = prompts, answers, threshold
        self._known: OrderedDict[tuple[bool, int], U64] = OrderedDict()

    def _grams(self, row: int, *, answer: bool) -> U64:
        key = (answer, row)
        known = self._known.get(key)
        if known is None:
            words = self._answers if answer else self._prompts
            known = np.unique(grams(words.take([row]), SHINGLE).values)
            self._known[key] = known
            if len(self._known) > _CACHED_ROWS:
                self._known.popitem(last=False)
        return known

    def first_near(self, row: int, others: list[int]) -> Near | None:
        best: Near | None = None
        for other in others:
            score = jaccard_sets(self._grams(row, answer=False), self._grams(other, answer=False))
            if score < self._threshold:
                continue
            left, right = self._grams(row, answer=True), self._grams(other, answer=True)
            if (not len(left) and not len(right)) or jaccard_sets(left, right) >= self._threshold:
                return Near(other, score, True)
            best = best or Near(other, score, False)
        return best
