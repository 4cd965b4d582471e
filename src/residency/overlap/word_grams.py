"""Words of many texts as flat arrays of 32-bit hashes, and their n-grams as 64-bit hashes.

A text's words are those of ``residency.text.words``; a word is stored as its CRC-32. All words lie end
to end in one array, in memory or in a temporary file, so a million rows cost 4 bytes a word.
A text of fewer than n words counts as one n-gram of all its words, so that short texts can
still be compared (as equal or not).
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from zlib import crc32

import numpy as np

from residency.text.words import split_words

U32 = np.ndarray[Any, np.dtype[np.uint32]]
U64 = np.ndarray[Any, np.dtype[np.uint64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
_BASE = np.uint64(0x9E3779B97F4A7C15)
KNOWN_WORDS = 1 << 17
_SPILL = 1 << 22
"""Words held in memory before they go to the temporary file, when there is one."""


@dataclass(frozen=True)
class RowWords:
    """Words of every row: row i is ``values[starts[i]:stops[i]]``."""

    values: U32
    starts: I64
    stops: I64

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, index: int) -> U32:
        """Word hashes of one row, in order."""
        return self.values[self.starts[index] : self.stops[index]]

    def take(self, rows: Sequence[int] | I64) -> RowWords:
        """Some rows, in the given order (a view of the same words)."""
        chosen = np.asarray(rows, np.int64)
        return RowWords(self.values, self.starts[chosen], self.stops[chosen])


@dataclass(frozen=True)
class RowGrams:
    """n-gram hashes of rows end to end: row i is ``values[offsets[i]:offsets[i + 1]]``."""

    values: U64
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> U64:
        """Hashes of one row, in order."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def row_numbers(self) -> I64:
        """Row number of every value."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


class _Hashes(dict[str, int]):
    """CRC-32 of words; those of the first ``KNOWN_WORDS`` different ones stay."""

    def __missing__(self, word: str) -> int:
        value = crc32(word.encode("utf-8", "replace"))
        if len(self) < KNOWN_WORDS:
            self[word] = value
        return value


class WordStore:
    """Collects words, text by text; with ``spill`` in a temporary file that goes when closed."""

    def __init__(self, *, spill: bool = False) -> None:
        self._buffer = array("I")
        self._hashes = _Hashes()
        self._written = 0
        self._file: IO[bytes] | None = (
            tempfile.TemporaryFile(prefix="residency-words-") if spill else None  # noqa: SIM115
        )

    def add(self, text: str) -> tuple[int, int]:
        """Stores a text's words; gives where they begin and end."""
        return self.add_words(split_words(text))

    def add_words(self, words: Sequence[str]) -> tuple[int, int]:
        """Stores words; gives where they begin and end."""
        start = self.size
        self._buffer.extend(map(self._hashes.__getitem__, words))
        self._spill_buffer()
        return start, self.size

    @property
    def size(self) -> int:
        """Words so far."""
        return self._written + len(self._buffer)

    def merge(self, later: WordStore) -> None:
        """Add the words of another, which holds them in memory."""
        self._buffer.extend(later._buffer)
        self._spill_buffer()

    def __getstate__(self) -> dict[str, Any]:
        """Only words in memory can be sent to another process."""
        assert self._file is None
        return {**vars(self), "_hashes": _Hashes()}

    def _spill_buffer(self) -> None:
        if self._file is not None and len(self._buffer) > _SPILL:
            self._flush_buffer()

    def _flush_buffer(self) -> None:
        assert self._file is not None
        self._buffer.tofile(self._file)
        self._written += len(self._buffer)
        self._buffer = array("I")

    def values(self) -> U32:
        """All words so far; nothing may be added after."""
        if self._file is None:
            return (
                np.frombuffer(self._buffer, np.uint32) if self._buffer else np.zeros(0, np.uint32)
            )
        self._flush_buffer()
        self._file.flush()
        # The map keeps a handle; the nameless file goes when that does.
        values = np.memmap(self._file, np.uint32, "r") if self._written else np.zeros(0, np.uint32)
        self._file.close()
        return values

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()


def hash_ngrams(words_of: RowWords, n: int) -> RowGrams:
    """Hashes of every run of n words of every row (see the module for short rows)."""
    lengths = words_of.stops - words_of.starts
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    begins = ends - lengths
    # The rows' words, end to end, widened to 64 bits and mixed.
    source = np.repeat(words_of.starts - begins, lengths) + np.arange(total)
    flat = _mix_bits(words_of.values[source].astype(np.uint64))
    short = (lengths > 0) & (lengths < n)
    counts = np.where(short, 1, np.maximum(lengths - n + 1, 0))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    out = np.empty(int(offsets[-1]), np.uint64)
    with np.errstate(over="ignore"):
        if total >= n:
            rolling = np.zeros(total - n + 1, np.uint64)
            for k in range(n):
                rolling = rolling * _BASE + flat[k : total - n + 1 + k]
            long = np.repeat(~short & (counts > 0), counts)
            position = np.arange(len(out)) - np.repeat(offsets[:-1], counts)
            out[long] = rolling[(np.repeat(begins, counts) + position)[long]]
        if short.any():
            # Rows of fewer than n words: a polynomial of all of them and their number.
            step = np.arange(total) - np.repeat(begins, lengths)
            powers = _BASE ** np.arange(1, n + 1, dtype=np.uint64)
            terms = np.where(step < n, flat * powers[np.minimum(step, n - 1)], np.uint64(0))
            running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
            sums = running[ends[short]] - running[begins[short]]
            out[offsets[:-1][short]] = sums + lengths[short].astype(np.uint64)
    return RowGrams(_mix_bits(out), offsets)


def _mix_bits(values: U64) -> U64:
    """splitmix64's finaliser: neighbouring values come out unrelated."""
    with np.errstate(over="ignore"):
        out: U64 = values ^ (values >> np.uint64(30))
        out *= np.uint64(0xBF58476D1CE4E5B9)
        out ^= out >> np.uint64(27)
        out = out * np.uint64(0x94D049BB133111EB)
        out ^= out >> np.uint64(31)
    return out
