"""The one rule by which a row is too near to a protected item (of dev, test or a benchmark).

Loading, selecting, collecting, teachers, templates and benchmarks all ask it, so that a row gets
the same answer whichever way it comes. A row comes near an item when, of their compared words
(``compared_rows``),

- ``near-duplicate``: the runs of 5 words of both the prompts and the bodies have a Jaccard index of
  ``near_duplicate`` (0.8) or more (so do equal prompts, however short), or the bodies' word
  pairs one of 0.5 or more, where both have at least 10 pairs that are not usual;
- ``rewording``: of their bodies' words that are not usual, in whatever order, the Jaccard index is
  0.5 or more, where both have at least 6;
- ``8-grams``: runs of 8 words that both share cover half of the shorter of the two bodies;
- ``13-gram``: they share a run of 13 words (Brown et al. 2020, appendix C) and shared runs cover a
  tenth of the shorter body;
- ``answer``: the same two rules for the prose of the two answers.

What many rows share proves nothing. A run of 8 or 13 words that stands in at least 10 rows and 1 %
of all rows, near-duplicates counted once, is boilerplate (greetings, forms, instructions) and does
not count; nor does a run of 13 that holds such a run of 8. A word pair is usual in 10 % of the rows, a
word in 2 % (and 10 rows).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from residency.overlap.compared_rows import ComparedRows
from residency.overlap.gram_index import Flags, GramIndex
from residency.overlap.word_grams import I64, U64, RowWords, hash_ngrams
from residency.text.percent import write_percent
from residency.text.words import jaccard_similarity

LONG, SHORT, SHINGLE, PAIR, WORD = 13, 8, 5, 2, 1
NEAR_DUPLICATE = 0.8
PAIR_JACCARD, LEAST_PAIRS = 0.5, 10
WORD_JACCARD, LEAST_WORDS = 0.5, 6
SHORT_COVER, LONG_COVER = 1 / 2, 1 / 10
BOILERPLATE_ROWS = 10
BOILERPLATE_SHARE = 0.01
USUAL_PAIR_SHARE, USUAL_WORD_SHARE = 0.1, 0.02
_CHUNK = 8192


@dataclass(frozen=True)
class Overlap:
    """Row ``row`` overlaps protected item ``item``: the rule, and its figure in [0, 1]."""

    row: int
    item: int
    rule: str
    share: float

    def describe(self) -> str:
        """The rule and its figure, in words."""
        if self.rule == "rewording":
            return f"a rewording: {write_percent(self.share, 0)} of the telling words are the same"
        if self.rule == "near-duplicate":
            return f"near-duplicate, Jaccard {self.share:.2f}"
        what = "answer" if self.rule.startswith("answer") else "prompt"
        rule = self.rule.removeprefix("answer ")
        return f"{rule} overlap, {write_percent(self.share, 0)} of the shorter {what}"


class ProtectedRows:
    """Protected items, against which any number of rows can be held.

    Args:
        items: the compared words of the protected items.
        near_duplicate: Jaccard index of 5-word runs from which two prompts are near-duplicates.
    """

    def __init__(self, items: ComparedRows, *, near_duplicate: float = NEAR_DUPLICATE) -> None:
        self._near_duplicate = near_duplicate
        self._shingles = GramIndex(items.prompts, SHINGLE)
        self._body_shingles = hash_ngrams(items.bodies, SHINGLE)
        self._pairs = GramIndex(items.bodies, PAIR)
        self._words = GramIndex(items.bodies, WORD)
        self._bodies, self._prose = _RunIndex(items.bodies), _RunIndex(items.prose)
        self._row_count = 0

    def count_rows(self, rows: ComparedRows) -> None:
        """Learn from representative rows which n-grams are boilerplate (may be called often)."""
        self._row_count += len(rows)
        for _, part in _chunk_rows(rows):
            self._pairs.count_rows(hash_ngrams(part.bodies, PAIR))
            self._words.count_rows(hash_ngrams(part.bodies, WORD))
            self._bodies.count_rows(part.bodies)
            self._prose.count_rows(part.prose)

    def find_overlaps(self, rows: ComparedRows) -> list[Overlap]:
        """Every row that overlaps an item, with the first rule and the item that it overlaps most."""
        best: dict[int, Overlap] = {}
        for hit in self._iterate_overlaps(rows):
            other = best.get(hit.row)
            if other is None or (hit.rule == other.rule and hit.share > other.share):
                best[hit.row] = hit
        return [best[row] for row in sorted(best)]

    def find_covered_items(self, rows: ComparedRows) -> set[int]:
        """Every item that some row overlaps."""
        return {hit.item for hit in self._iterate_overlaps(rows)}

    def _iterate_overlaps(self, rows: ComparedRows) -> Iterator[Overlap]:
        """Every pair of a row and an item that are too near, rule by rule within a chunk."""
        least = max(BOILERPLATE_ROWS, BOILERPLATE_SHARE * self._row_count)
        usual_pairs = self._find_usual(self._pairs, USUAL_PAIR_SHARE)
        usual_words = self._find_usual(self._words, USUAL_WORD_SHARE)
        for first, part in _chunk_rows(rows):
            shingles, bodies = (hash_ngrams(w, SHINGLE) for w in (part.prompts, part.bodies))
            for row, item, share in self._shingles.find_similar(shingles, self._near_duplicate):
                if self._has_near_body(bodies.row(row), item):
                    yield Overlap(first + row, item, "near-duplicate", share)
            pairs = hash_ngrams(part.bodies, PAIR)
            for row, item, share in self._pairs.find_similar(
                pairs, PAIR_JACCARD, common=usual_pairs, least=LEAST_PAIRS
            ):
                yield Overlap(first + row, item, "near-duplicate", share)
            words = hash_ngrams(part.bodies, WORD)
            for row, item, share in self._words.find_similar(
                words, WORD_JACCARD, common=usual_words, least=LEAST_WORDS
            ):
                yield Overlap(first + row, item, "rewording", share)
            for row, item, rule, share in self._bodies.find_covered(part.bodies, least):
                yield Overlap(first + row, item, rule, share)
            for row, item, rule, share in self._prose.find_covered(part.prose, least):
                yield Overlap(first + row, item, f"answer {rule}", share)

    def _has_near_body(self, shingles: U64, item: int) -> bool:
        item_shingles = self._body_shingles.row(item).tolist()
        return jaccard_similarity(shingles.tolist(), item_shingles) >= self._near_duplicate

    def _find_usual(self, index: GramIndex, share: float) -> Flags:
        return index.rows_with >= max(BOILERPLATE_ROWS, share * self._row_count)


def _chunk_rows(rows: ComparedRows) -> Iterator[tuple[int, ComparedRows]]:
    for first in range(0, len(rows), _CHUNK):
        yield first, rows.take(np.arange(first, min(first + _CHUNK, len(rows))))


class _RunIndex:
    """Runs of 8 and 13 words of the items."""

    def __init__(self, words: RowWords) -> None:
        self._short, self._long = GramIndex(words, SHORT), GramIndex(words, LONG)
        self._lengths = words.stops - words.starts
        self._parts = self._find_parts()
        self._starts: dict[int, dict[int, list[int]]] = {}

    def _find_parts(self) -> I64:
        """The runs of 8 within each known run of 13, shape (known runs of 13, 6); -1: none."""
        short, long = self._short, self._long
        parts = np.full((len(long.known), LONG - SHORT + 1), -1, np.int64)
        for item in np.flatnonzero(self._lengths >= LONG):
            inner = np.searchsorted(short.known, short.items.row(int(item)))
            outer = np.searchsorted(long.known, long.items.row(int(item)))
            parts[outer] = np.lib.stride_tricks.sliding_window_view(inner, parts.shape[1])
        return parts

    def count_rows(self, words: RowWords) -> None:
        self._short.count_rows(hash_ngrams(words, SHORT))
        self._long.count_rows(hash_ngrams(words, LONG))

    def find_covered(
        self, words: RowWords, boilerplate_rows: float
    ) -> Iterator[tuple[int, int, str, float]]:
        """Row, item, rule and covered share of the pairs that share too much."""
        short_common = self._short.rows_with >= boilerplate_rows
        long_common = self._long.rows_with >= boilerplate_rows
        if len(short_common):
            long_common = long_common | np.append(short_common, False)[self._parts].any(axis=1)
        lengths = words.stops - words.starts
        runs: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, position in self._iterate_matches(self._short, words, short_common, SHORT):
            for item in self._short.list_holders(position):
                runs[row, item].append(position)
        long = {
            (row, item)
            for row, position in self._iterate_matches(self._long, words, long_common, LONG)
            for item in self._long.list_holders(position)
        }
        for (row, item), positions in runs.items():
            share = self._count_covered(item, positions) / min(lengths[row], self._lengths[item])
            if share >= LONG_COVER and (row, item) in long:
                yield row, item, "13-gram", min(1.0, float(share))
            elif share >= SHORT_COVER:
                yield row, item, "8-grams", min(1.0, float(share))

    @staticmethod
    def _iterate_matches(
        index: GramIndex, words: RowWords, common: Flags, n: int
    ) -> Iterator[tuple[int, int]]:
        """Rows and positions of the shared runs that are no boilerplate; whole runs only."""
        lengths = words.stops - words.starts
        for row, position in zip(*index.match_grams(hash_ngrams(words, n)), strict=True):
            if not common[position] and lengths[row] >= n:
                yield int(row), int(position)

    def _count_covered(self, item: int, positions: list[int]) -> int:
        """Words of an item that lie within these runs of 8."""
        starts = self._starts.get(item)
        if starts is None:
            starts = self._starts[item] = defaultdict(list)
            runs = np.searchsorted(self._short.known, self._short.items.row(item))
            for start, position in enumerate(runs.tolist()):
                starts[position].append(start)
        covered = end = 0
        for start in sorted(start for position in positions for start in starts[position]):
            covered += start + SHORT - max(start, end)
            end = start + SHORT
        return covered
