"""Near-duplicates: MinHash with banding finds candidates, exact Jaccard decides.

Signatures are made by rensa (R-MinHash); bands are matched here, so that each candidate can be
checked against the true 5-gram sets and a row in a crowded bucket is compared with at most
``BUCKET_REPRESENTATIVES`` earlier ones. Rows are taken in order: a row is only ever compared
with earlier ones, so appending rows changes nothing about those before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from rensa import RMinHash

from residency.data.grams import Flat, jaccard_sorted

SHINGLE = 5
PERMUTATIONS = 128
RECALL = 0.995
"""Chance, by the banding formula, that a pair at the threshold becomes a candidate."""
BUCKET_REPRESENTATIVES = 8
_CHUNK = 8192


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


def band_hashes(shingles: Flat, threshold: float) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """One 64-bit hash a row and band, shape (rows, bands)."""
    bands, size = bands_for(threshold)
    out = np.zeros((len(shingles), bands), np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, size, dtype=np.uint64) | np.uint64(1)
    for begin in range(0, len(shingles), _CHUNK):
        end = min(begin + _CHUNK, len(shingles))
        first = shingles.offsets[begin]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            np.ascontiguousarray(shingles.values[first : shingles.offsets[end]]),
            (shingles.offsets[begin : end + 1] - first).astype(np.uint64),
            PERMUTATIONS,
            42,
        )
        digests = np.asarray(matrix.to_rows(), np.uint64)[:, : bands * size]
        with np.errstate(over="ignore"):
            out[begin:end] = (digests.reshape(end - begin, bands, size) * weights).sum(axis=2)
    return out


def find_near(prompts: Flat, answers: Flat, threshold: float) -> dict[int, Near]:
    """For each row, the first earlier row whose prompt's 5-grams have Jaccard ≥ ``threshold``.

    A *duplicate* has a near answer as well (two answers without words count as near); a row
    whose prompt is near but whose answer differs is a paraphrase or a contradiction.

    Args:
        prompts, answers: 5-gram hashes of every row (``grams.grams`` with n = 5).
    """
    found: dict[int, Near] = {}
    hashes = band_hashes(prompts, threshold)
    filled = np.diff(prompts.offsets) > 0
    shared: list[np.ndarray[Any, Any]] = []
    for band in range(hashes.shape[1]):
        _, inverse, counts = np.unique(hashes[:, band], return_inverse=True, return_counts=True)
        shared.append(np.where((counts[inverse] > 1) & filled, inverse, -1))
    buckets = np.stack(shared, axis=1) if shared else np.zeros((0, 0), np.int64)
    representatives: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero((buckets >= 0).any(axis=1)):
        keys = [(band, int(b)) for band, b in enumerate(buckets[row]) if b >= 0]
        candidates = sorted({other for key in keys for other in representatives[key]})
        near = _compare(int(row), candidates, prompts, answers, threshold)
        if near is not None:
            found[int(row)] = near
            if near.duplicate:
                continue
        for key in keys:
            if len(representatives[key]) < BUCKET_REPRESENTATIVES:
                representatives[key].append(int(row))
    return found


def _compare(
    row: int, candidates: list[int], prompts: Flat, answers: Flat, threshold: float
) -> Near | None:
    best: Near | None = None
    for other in candidates:
        score = jaccard_sorted(prompts.row(row), prompts.row(other))
        if score < threshold:
            continue
        left, right = answers.row(row), answers.row(other)
        same = (not len(left) and not len(right)) or jaccard_sorted(left, right) >= threshold
        if same:
            return Near(other, score, True)
        if best is None:
            best = Near(other, score, False)
    return best
