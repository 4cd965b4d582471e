"""One pass over a project's rows, or a file's, and the decisions about them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residency.chat.chat_format import ChatFormat
from residency.config.settings import Config
from residency.data.block_workers import Spread, run_here
from residency.data.checks.pass_totals import Block, Examine, Findings
from residency.data.checks.truncation_ledger import Ledger
from residency.data.cleaning.decide_rows import Decision, decide_rows
from residency.data.reading.named_splits import find_split_sources
from residency.data.reading.row_reader import Reject
from residency.data.reading.source_reader import (
    FileRead,
    SourceReader,
    check_row_count,
    stop_at,
)
from residency.data.reading.sources import list_split_files
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import (
    DEALT_SPLITS,
    SPLITS,
    TRAINABLE_SPLITS,
    DealtSplit,
    Example,
    Split,
)
from residency.overlap.compared_rows import compare_texts
from residency.overlap.protected_rows import ProtectedRows

BLOCK = 1000
"""Rows that are looked at together."""


@dataclass(frozen=True)
class Leak:
    """A training row that comes near a benchmark's item."""

    benchmark: str
    item: int
    source: str
    rule: str


class Survey:
    """One pass over a project's rows (or a file's), and the decisions about them.

    Args:
        chat: the model's chat format, for token figures.
        missing: splits to be split off from train; None: those that name no file.
        loose: accept files of prompts without answers.
        spread: where blocks of rows are looked at (see ``spread``).
    """

    def __init__(
        self,
        config: Config,
        root: Path,
        *,
        chat: ChatFormat | None = None,
        missing: Sequence[DealtSplit] | None = None,
        full: bool = True,
        strict: bool = False,
        loose: bool = False,
        spread: Spread = run_here,
        progress: Progress = no_progress,
    ) -> None:
        self.loose = loose
        self.config, self.root, self.chat = config, root, chat
        data = config.data
        self.split_files = list_split_files(data)
        self.missing = (
            [s for s in DEALT_SPLITS if not self.split_files[s]] if missing is None else missing
        )
        self.strict, self.progress = strict, progress
        self.files: list[FileRead] = []
        self.findings = Findings(config, spill=True)
        self._file_numbers = array("H")
        self._rows_read: Counter[Split] = Counter()
        for reader in self._readers():
            self._read(reader, spread)
        self.table = self.findings.builder.table()
        self.decision = decide_rows(
            self.table, data, missing=self.missing, full=full, progress=progress
        )

    def _readers(self) -> Iterator[SourceReader]:
        for split in SPLITS:
            # A file of prompts alone is no training data, but can be looked at.
            need = None if self.loose else split in TRAINABLE_SPLITS
            for source in find_split_sources(self.split_files[split], self.root, split):
                yield SourceReader(source, self.config.data, split, need_answer=need)

    def again(self) -> Iterator[Example | Reject]:
        """The same rows in the same order, read a second time."""
        for reader in self._readers():
            yield from reader

    def rejects(self) -> Iterator[Reject]:
        """Every row that cannot be used; beyond those held, the sources are read again."""
        if self.findings.rejected == len(self.findings.rejects):
            yield from self.findings.rejects
            return
        yield from (item for item in self.again() if isinstance(item, Reject))

    def _read(self, reader: SourceReader, spread: Spread) -> None:
        blocks = (
            Block(rows, records, self.findings.sample.bar)
            for rows, records in reader.read_blocks(BLOCK)
        )
        for block_findings in spread(Examine(self.config, self.chat), blocks):
            if self.strict and block_findings.rejects:
                raise stop_at(block_findings.rejects[0])
            self._file_numbers.extend([len(self.files)] * block_findings.rows)
            reader.rows += block_findings.rows + block_findings.rejected
            reader.rejected += block_findings.rejected
            reader.changed.update(block_findings.changed)
            self.findings.merge(block_findings)
            self._rows_read[reader.split] += block_findings.rows + block_findings.rejected
            check_row_count(self._rows_read[reader.split], self.config.data, reader.name)
            self.progress(ProgressEvent("read", self.findings.rows, 0, "rows"))
        self.files.append(reader.summarise())

    # --- what came out --------------------------------------------------------------------

    def source(self, row: int) -> str:
        """Where a row stands."""
        return f"{self.files[self._file_numbers[row]].path}:{self.findings.lines[row]}"

    def split(self, row: int) -> Split:
        """The split of a row, after splitting off."""
        return SPLITS[int(self.decision.splits[row])]

    def ledger(self) -> Ledger | None:
        """Token figures of rows that may be trained; None without a tokenizer."""
        return self.findings.ledger.ledger() if self.chat is not None else None

    def counts(self, decision: Decision, *, alive: bool) -> dict[str, int]:
        """Rows by split."""
        splits = decision.splits[decision.alive] if alive else decision.splits
        shown = [s for s in SPLITS if s in DEALT_SPLITS or self.split_files[s]]
        return {s: int((splits == SPLITS.index(s)).sum()) for s in shown}

    def count_dev_tags(self) -> dict[str, int]:
        """Groups of each tag among the dev rows that stay (a row without a group is one)."""
        chosen = (self.decision.splits == SPLITS.index("dev")) & self.decision.alive
        return self.findings.tags.count(chosen, self.table.groups)

    def removal(self, index: int) -> dict[str, str]:
        """One removed row, for people and programs."""
        drop = self.decision.drops[index]
        near = self.source(drop.other) if drop.other >= 0 else ""
        return {
            "source": self.source(drop.row),
            "split": self.split(drop.row),
            "kind": drop.kind,
            "reason": f"{drop.rule}: {near} ({self.split(drop.other)})" if near else drop.rule,
            "near": near,
        }

    def leaks(
        self,
        benchmarks: Mapping[str, Sequence[str]],
        among: Sequence[Split] = TRAINABLE_SPLITS,
    ) -> list[tuple[int, Leak]]:
        """Living rows of these splits that come near a benchmark's items, with their row numbers."""
        splits = self.decision.splits
        wanted = np.isin(splits, [SPLITS.index(s) for s in among]) & self.decision.alive
        rows = np.flatnonzero(wanted)
        out: list[tuple[int, Leak]] = []
        for name, items in benchmarks.items():
            protected = ProtectedRows(compare_texts(items))
            compared = self.table.compared.take(rows)
            protected.count_rows(compared)
            for hit in protected.find_overlaps(compared):
                row = int(rows[hit.row])
                out.append((row, Leak(name, hit.item, self.source(row), hit.describe())))
        return out
