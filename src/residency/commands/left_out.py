"""Rows that were left out of the data, each with why and beside the row that it resembles."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency.data.corpus import Removed
from residency.data.reading.row_reader import Reject
from residency.data.reading.source_reader import read_sources
from residency.data.reading.sources import DROPPED_FILE, list_split_files
from residency.nouns.example import Example, Split
from residency.project.workspace import Workspace

READABLE: tuple[Split, ...] = ("train", "dev", "pool", "replay")
SEALED = "test"


@dataclass(frozen=True)
class LeftOutRow:
    """One row that was left out: itself and the row that it resembles.

    ``row`` and ``near`` are None where there is none, or where the sealed test has it (``sealed``).
    """

    removed: Removed
    row: Example | None
    near: Example | None
    near_split: str = ""
    sealed: bool = False


@dataclass(frozen=True)
class LeftOut:
    """All rows of a project that were left out, and those that could not be read."""

    removed: tuple[Removed, ...]
    rejects: tuple[Reject, ...]
    texts: dict[str, Example]
    splits: dict[str, str]

    def count_kinds(self) -> dict[str, int]:
        """Rows left out by kind, the commonest first."""
        return dict(Counter(row.kind for row in self.removed).most_common())

    def list_rows(
        self, kind: str = "", *, offset: int = 0, limit: int = 20
    ) -> tuple[list[LeftOutRow], int]:
        """Some of the rows, and how many fit. Nothing of the sealed test is shown."""
        fitting = [row for row in self.removed if kind in ("", row.kind)]
        return [self._look_up(row) for row in fitting[offset : offset + limit]], len(fitting)

    def _look_up(self, removed: Removed) -> LeftOutRow:
        near_split = self.splits.get(removed.near, "")
        text = None if removed.split == SEALED else self.texts.get(removed.source)
        near = None if near_split == SEALED else self.texts.get(removed.near)
        return LeftOutRow(removed, text, near, near_split, SEALED in (removed.split, near_split))


@dataclass(frozen=True)
class CleanedAway:
    """What a cleaned copy that the project uses left out: its list, how many, and the first of them.

    Each row has ``source``, ``split``, ``kind`` and ``reason``; rows that could not be read have
    ``where`` and no split.
    """

    file: Path
    total: int
    kinds: Mapping[str, int]
    rows: list[dict[str, Any]]


def find_cleaned_away(ws: Workspace, most: int) -> CleanedAway | None:
    """The list beside the cleaned files that the settings name; None where they name none."""
    paths = [ws.root / source for source in ws.config.data.train]
    folders = [path if path.is_dir() else path.parent for path in paths]
    file = next((f / DROPPED_FILE for f in folders if (f / DROPPED_FILE).is_file()), None)
    if file is None:
        return None
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    kinds = Counter(str(row.get("kind", "")) for row in rows)
    return CleanedAway(file, len(rows), dict(kinds.most_common()), rows[:most])


def load_left_out(ws: Workspace) -> LeftOut:
    """What was left out when the project's files were read; the files are read once more for the
    texts. Files that were named as the test are not."""
    corpus = ws.corpus
    splits: dict[str, str] = {row.source: row.split for row in corpus.removed}
    splits.update({example.source: example.split for example in corpus.examples})
    wanted = {row.source for row in corpus.removed} | {row.near for row in corpus.removed}
    texts = {e.source: e for e in corpus.examples if e.source in wanted and e.split != SEALED}
    if wanted - set(texts):
        files = list_split_files(ws.config.data)
        for split in READABLE:
            for example in read_sources(files[split], ws.config.data, split, ws.root).examples:
                if example.source in wanted and splits.get(example.source) != SEALED:
                    texts.setdefault(example.source, example)
    return LeftOut(tuple(corpus.removed), tuple(corpus.rejects), texts, splits)
