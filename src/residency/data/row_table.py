"""Rows as columns: what deduplication, splitting and contamination need to know of each row.

A row costs about 60 bytes and 4 bytes a word, so a million rows fit where a million examples
would not. The rows themselves are read again, or kept by whoever has room for them.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from residency.data.splits import key_of
from residency.nouns.content_id import canonical_json
from residency.nouns.example import SPLITS, Example
from residency.overlap.distinct_text import distinct, user_parts
from residency.overlap.word_grams import I64, U64, RowWords, WordStore
from residency.text.words import split_words

RANK = {"test": 0, "dev": 1, "train": 2, "pool": 2}
"""How protected a split is: rows of a higher rank give way to rows of a lower one."""


@dataclass(frozen=True)
class Table:
    """Columns of all rows, in the order in which they were added.

    Attributes:
        ids: first 64 bits of each example's id. splits: index into ``types.SPLITS``.
        groups: hash of the user's group, 0 where there is none.
        keys: what the split is decided by: the group, else the row's own words.
        prompts: user's words that differ (see ``distinct``). answers: words of the answers.
        asked: hash of the whole prompt (see ``asked_text``): equal for the same question.
        strata: the value of the tag by which splits are stratified, as a number.
    """

    ids: U64
    splits: np.ndarray
    groups: U64
    keys: U64
    asked: U64
    strata: I64
    prompts: RowWords
    answers: RowWords

    def __len__(self) -> int:
        return len(self.ids)


class TableBuilder:
    """Adds examples one by one.

    Args:
        spill: keep the words in a temporary file instead of memory.
        stratify: tag column whose values become ``strata``.
    """

    def __init__(self, *, spill: bool = False, stratify: str = "") -> None:
        self._store = WordStore(spill=spill)
        self._stratum = f"{stratify}=" if stratify else ""
        self._strata: dict[str, int] = {}
        self._splits = array("b")
        self._columns = {name: array("Q") for name in ("id", "group", "key", "asked", "shared")}
        self._places = {name: array("q") for name in ("stratum", "start", "own", "stop", "end")}

    def add(self, example: Example) -> None:
        """One more row."""
        shared, own = user_parts(example)
        shared_words, own_words = split_words(shared), split_words(own)
        start, _ = self._store.add_words(shared_words)
        own_start, stop = self._store.add_words(own_words)
        _, end = self._store.add(answer_text(example))
        # The row's own words decide its split, whatever other rows there are.
        spelt = " ".join(own_words)
        group = key_of(f"group {example.group}") if example.group else 0
        for name, value in (
            ("id", int(example.id[-16:], 16)),
            ("group", group),
            ("key", group or key_of(f"row {spelt or example.id}")),
            ("asked", key_of(asked_text(example))),
            ("shared", crc32(shared.encode("utf-8", "replace")) if shared else 0),
        ):
            self._columns[name].append(value)
        self._splits.append(SPLITS.index(example.split))
        tag = next((t for t in example.tags if self._stratum and t.startswith(self._stratum)), "")
        for name, place in (
            ("stratum", self._strata.setdefault(tag, len(self._strata)) if tag else -1),
            ("start", start),
            ("own", own_start),
            ("stop", stop),
            ("end", end),
        ):
            self._places[name].append(place)

    def merge(self, later: TableBuilder) -> None:
        """Add the rows of another after these."""
        shift = self._store.size
        for name, column in self._columns.items():
            column.extend(later._columns[name])
        for name in ("start", "own", "stop", "end"):
            self._places[name].extend(place + shift for place in later._places[name])
        numbers = [self._strata.setdefault(tag, len(self._strata)) for tag in later._strata]
        self._places["stratum"].extend(
            numbers[n] if n >= 0 else n for n in later._places["stratum"]
        )
        self._splits.extend(later._splits)
        self._store.merge(later._store)

    def table(self) -> Table:
        """The columns; nothing may be added after."""
        column = {
            k: np.frombuffer(v, np.uint64) if v else _none(np.uint64)
            for k, v in self._columns.items()
        }
        place = {
            k: np.frombuffer(v, np.int64) if v else _none(np.int64) for k, v in self._places.items()
        }
        values = self._store.values()
        asked = RowWords(values, place["start"], place["stop"])
        return Table(
            ids=column["id"],
            splits=np.frombuffer(self._splits, np.int8).copy() if self._splits else _none(np.int8),
            groups=column["group"],
            keys=column["key"],
            asked=column["asked"],
            strata=place["stratum"],
            prompts=distinct(asked, place["own"], column["shared"]),
            answers=RowWords(values, place["stop"], place["end"]),
        )


def asked_text(example: Example) -> str:
    """The whole prompt, but for case, white space and the last punctuation mark.

    Signs count (C and C++ are two questions). Of a preference pair its two answers are part of the
    question, in either order: two pairs ask the same when they judge the same answers.
    """
    text = "\n".join(
        f"{m.role} {m.text} {canonical_json(m.tools) if m.tools else ''}" for m in example.prompt
    )
    if example.rejected is not None:
        text += "\n".join(sorted((example.reference or "", example.rejected)))
    return " ".join(text.casefold().split()).rstrip(".?! ")


def _none(kind: type) -> np.ndarray:
    return np.zeros(0, kind)


def answer_text(example: Example) -> str:
    """Every answer of a row as one text: the last turn, its tool calls, the rejected answer."""
    if len(example.messages) == 1:
        return ""
    calls = " ".join(str(call.get("function", call)) for call in example.messages[-1].tool_calls)
    return " ".join(filter(None, (example.reference, calls, example.rejected)))
