"""What one pass over some rows gathers, so that passes over parts can be joined.

The same rows give the same, whether they are looked at in one part or in many, here or on other
machines: parts are joined in the order of their rows.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass

from residency.chat.chat_format import ChatFormat
from residency.config.settings import Config
from residency.data.checks.answers import Answers
from residency.data.checks.artefacts import Artefacts
from residency.data.checks.figures import Flags, View
from residency.data.checks.personal_data import PersonalData
from residency.data.checks.row_sample import Sample
from residency.data.checks.tag_rows import TagRows
from residency.data.checks.truncation_ledger import LedgerBuilder
from residency.data.reading.row_reader import Reject, RowReader
from residency.data.row_table import TableBuilder, last_answer_text
from residency.data.token_rows import encode_example
from residency.errors import TemplateError
from residency.files.record import Record
from residency.nouns.example import TRAINABLE_SPLITS, Example
from residency.text.counts import write_count
from residency.text.words import split_words

_PLACE = re.compile(r" at (?:position|character) \d+(?: of the line)?$|(?<=messages)\[\d+\]")
"""What makes equal reasons differ."""
LISTED = 1000
"""Rejects and removed rows that a report holds; all of them are counted."""


class Findings:
    """Counts, suspects, columns and token figures of rows that are added one by one.

    Args:
        spill: keep words in a temporary file. bar: see ``Sample``.
    """

    def __init__(self, config: Config, *, spill: bool = False, bar: int | None = None) -> None:
        self.rows = self.rejected = self.unanswered = self.tools = self.pairs = self.raw = 0
        self.changed: Counter[str] = Counter()
        self.rejects: list[Reject] = []
        self.reasons: Counter[str] = Counter()
        self.lines = array("q")
        self.answers, self.artefacts, self.private = Answers(), Artefacts(), PersonalData()
        self.sample, self.tags = Sample(bar=bar), TagRows()
        self.untrainable = Flags()
        self.builder = TableBuilder(
            spill=spill, stratify=config.data.stratify, tags=config.data.oversample_dev
        )
        self.ledger = LedgerBuilder(config.model.max_length, config.data.truncation)

    def add(self, example: Example, chat: ChatFormat | None) -> None:
        """One more row."""
        self.builder.add(example)
        self.lines.append(int(example.source.rpartition(":")[2]))
        self.unanswered += example.reference is None
        self.tools += bool(example.messages[0].tools)
        self.pairs += example.rejected is not None
        self.raw += not example.prompt
        answer = last_answer_text(example) if example.prompt else example.messages[-1].content
        view = View(self.rows, example, example.prompt_text, answer, split_words(answer))
        for meter in (self.answers, self.artefacts, self.private, self.sample, self.tags):
            meter.add(view)
        if chat is not None and example.split in TRAINABLE_SPLITS and example.reference is not None:
            self._count_tokens(view, chat)
        self.rows += 1

    def _count_tokens(self, view: View, chat: ChatFormat) -> None:
        try:
            rows = encode_example(view.example, chat)
        except TemplateError as error:
            self.ledger.refuse(view.example, error.what, error.next_step)
            self.untrainable.add(view, error.what)
            return
        if not sum(len(self.ledger.add(row)) for row in rows):
            self.untrainable.add(view, f"{write_count(rows[0].length, 'token')}")

    def reject(self, reject: Reject) -> None:
        """One more row that cannot be used."""
        self.rejected += 1
        reason = _PLACE.sub("", reject.reason)
        self.reasons[f"{reject.field}: {reason}" if reject.field else reason] += 1
        if len(self.rejects) < LISTED:
            self.rejects.append(reject)

    def merge(self, later: Findings) -> None:
        """Add what the rows after these showed."""
        for mine, more in (
            (self.answers, later.answers),
            (self.artefacts, later.artefacts),
            (self.private, later.private),
            (self.sample, later.sample),
            (self.tags, later.tags),
            (self.untrainable, later.untrainable),
        ):
            mine.merge(more, self.rows)  # type: ignore[arg-type]
        self.builder.merge(later.builder)
        self.ledger.merge(later.ledger)
        self.lines.extend(later.lines)
        self.rows += later.rows
        self.rejected += later.rejected
        self.unanswered += later.unanswered
        self.tools += later.tools
        self.pairs += later.pairs
        self.raw += later.raw
        self.changed.update(later.changed)
        self.reasons.update(later.reasons)
        self.rejects += later.rejects[: LISTED - len(self.rejects)]


@dataclass(frozen=True)
class Block:
    """Some records of one source, and what reads them. ``bar``: see ``Sample``."""

    reader: RowReader
    records: list[Record]
    bar: int | None = None


@dataclass(frozen=True)
class Examine:
    """Looks at the rows of a block; can be sent to another process."""

    config: Config
    chat: ChatFormat | None

    def __call__(self, block: Block) -> Findings:
        findings = Findings(self.config, bar=block.bar)
        for record in block.records:
            item, changes = block.reader.read_record(record)
            findings.changed.update(changes)
            if isinstance(item, Example):
                findings.add(item, self.chat)
            else:
                findings.reject(item)
        return findings
