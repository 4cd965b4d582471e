"""Rows as columns: what deduplication, splitting and contamination need to know of each row.

A row costs about 60 bytes and 4 bytes a word, so a million rows fit where a million examples
would not. The rows themselves are read again, or held by whoever has room for them.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from residency.data.splits import hash_to_key
from residency.nouns.content_id import canonical_json
from residency.nouns.example import SPLITS, Example
from residency.overlap.compared_rows import ComparedRows, ComparedRowsBuilder, join_turn
from residency.overlap.distinct_text import user_parts
from residency.overlap.word_grams import I64, U64, RowWords
from residency.text.split_key import spell_split_key

RANK = {"test": 0, "dev": 1, "train": 2, "pool": 2, "replay": 2}
"""How protected a split is: rows of a higher rank give way to rows of a lower one."""


@dataclass(frozen=True)
class Table:
    """Columns of all rows, in the order in which they were added.

    Attributes:
        ids: first 64 bits of each example's id. splits: index into ``types.SPLITS``.
        groups: hash of the user's group, 0 where there is none.
        keys: what the split is decided by: the group, else the row's words.
        questions: hash of the whole prompt (see ``asked_text``): equal for the same question.
        strata: the value of the tag by which splits are stratified, as a number.
        compared: the words that are compared with those of other rows.
        tagged: the tags of ``TableBuilder.tags`` that the row has, as bits.
        fixed: rows that stay in their split whatever is split off, and count for no limit.
    """

    ids: U64
    splits: np.ndarray
    groups: U64
    keys: U64
    questions: U64
    strata: I64
    compared: ComparedRows
    tagged: I64
    fixed: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def prompts(self) -> RowWords:
        """The user's words that differ between rows (see ``distinct``)."""
        return self.compared.prompts

    @property
    def answers(self) -> RowWords:
        """The words of all trained answers."""
        return self.compared.answers


class TableBuilder:
    """Adds examples one by one.

    Args:
        spill: keep the words in a temporary file instead of memory.
        stratify: tag column whose values become ``strata``.
        tags: tags that are noted of each row (``tagged``), at most 62.
    """

    def __init__(
        self, *, spill: bool = False, stratify: str = "", tags: Collection[str] = ()
    ) -> None:
        self._compared = ComparedRowsBuilder(spill=spill)
        self._stratum = f"{stratify}=" if stratify else ""
        self._strata: dict[str, int] = {}
        self._stratum_numbers = array("q")
        self._bits = {tag: 1 << number for number, tag in enumerate(tags)}
        self._splits, self._fixed, self._tagged = array("b"), array("b"), array("q")
        self._columns = {name: array("Q") for name in ("id", "group", "key", "question")}

    def add(self, example: Example, *, fixed: bool = False) -> None:
        """One more row; ``fixed`` keeps it in its split."""
        self._compared.add(example)
        # The row's words decide its split, whatever other rows there are.
        spelt = spell_split_key(user_parts(example)[1])
        group = hash_to_key(f"group {example.group}") if example.group else 0
        for name, value in (
            ("id", int(example.id[-16:], 16)),
            ("group", group),
            ("key", group or hash_to_key(f"row {spelt or example.id}")),
            ("question", hash_to_key(asked_text(example))),
        ):
            self._columns[name].append(value)
        self._splits.append(SPLITS.index(example.split))
        self._fixed.append(fixed)
        self._tagged.append(sum(self._bits.get(tag, 0) for tag in set(example.tags)))
        tag = next((t for t in example.tags if self._stratum and t.startswith(self._stratum)), "")
        number = self._strata.setdefault(tag, len(self._strata)) if tag else -1
        self._stratum_numbers.append(number)

    def merge(self, later: TableBuilder) -> None:
        """Add the rows of another after these."""
        for name, column in self._columns.items():
            column.extend(later._columns[name])
        numbers = [self._strata.setdefault(tag, len(self._strata)) for tag in later._strata]
        self._stratum_numbers.extend(numbers[n] if n >= 0 else n for n in later._stratum_numbers)
        self._splits.extend(later._splits)
        self._fixed.extend(later._fixed)
        self._tagged.extend(later._tagged)
        self._compared.merge(later._compared)

    def table(self) -> Table:
        """The columns; nothing may be added after."""
        column = {name: _to_numpy(values, np.uint64) for name, values in self._columns.items()}
        return Table(
            ids=column["id"],
            splits=_to_numpy(self._splits, np.int8).copy(),
            groups=column["group"],
            keys=column["key"],
            questions=column["question"],
            strata=_to_numpy(self._stratum_numbers, np.int64),
            compared=self._compared.build(),
            tagged=_to_numpy(self._tagged, np.int64),
            fixed=_to_numpy(self._fixed, np.int8).astype(bool),
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


def _to_numpy(values: array[int], kind: type) -> np.ndarray:
    return np.frombuffer(values, kind) if values else np.zeros(0, kind)


def last_answer_text(example: Example) -> str:
    """The last answer of a row with its tool calls, and the worse answer."""
    if len(example.messages) == 1:
        return ""
    return " ".join(filter(None, (join_turn(example.messages[-1]), example.rejected)))
