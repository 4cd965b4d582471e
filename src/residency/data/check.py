"""The data doctor: one pass over the rows, then what is wrong with them and what to do.

Rows are streamed; what is kept of each is a few numbers (``table``), the rows in which something
was seen, and a fixed sample. Memory grows by about 150 bytes a row, whatever its length.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from residency.chat import ChatFormat
from residency.config import Config
from residency.data import sampled, topics
from residency.data.answers import Answers
from residency.data.artefacts import Artefacts
from residency.data.cleaning import Decision, decide
from residency.data.figures import Figure, Flags, Sighting, View
from residency.data.grams import Words, WordStore
from residency.data.overlap import ProtectedGrams
from residency.data.private import Private
from residency.data.read import FileRead, Reject, SourceReader
from residency.data.sources import find_sources
from residency.data.table import TableBuilder, answer_text
from residency.data.tokens import Ledger, LedgerBuilder, encode_example
from residency.errors import ConfigError, DataError, TemplateError
from residency.text import words
from residency.types import SPLITS, Embedder, Example, Progress, ProgressEvent, Split, no_progress

LISTED = 1000
"""Rejects and removed rows that a report holds; all of them are counted."""
TRAINING: tuple[Split, ...] = ("train", "pool")


@dataclass(frozen=True)
class Leak:
    """A training row that comes near a benchmark's item."""

    benchmark: str
    item: int
    source: str
    rule: str


@dataclass(frozen=True)
class CheckReport:
    """What the doctor found.

    Attributes:
        subject: what was checked. files: every source and how its columns were read.
        rows: rows that could be read, by split; after splitting off, before anything is left out.
        kept: rows that stay, by split. rejects: rows that could not be read (the first 1000).
        removed: number of rows left out, by (kind, split). removed_rows: the first 1000.
        contradictions: pairs of rows with the same prompt and different answers (the first 1000).
        ledger: token figures; None without a tokenizer. figures: the quality report.
        leaks: training rows near a benchmark. benchmarks: those compared with, and their items.
        notes: what was not checked, and why.
    """

    subject: str
    files: list[FileRead]
    rows: dict[str, int]
    kept: dict[str, int]
    rejected: int
    rejects: list[Reject]
    reasons: list[tuple[str, int]]
    removed: dict[tuple[str, str], int]
    removed_rows: list[dict[str, str]]
    contradictions: list[tuple[str, str]]
    contradicted: int
    ledger: Ledger | None
    figures: list[Figure]
    leaks: list[Leak] = field(default_factory=list)
    benchmarks: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def figure(self, name: str) -> Figure:
        """One line of the quality report.

        Raises:
            KeyError: there is none of that name.
        """
        return {f.name: f for f in self.figures}[name]

    @property
    def warnings(self) -> list[Figure]:
        """Figures that ask for something to be done."""
        return [f for f in self.figures if f.level == "warn"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "subject": self.subject,
            "files": [vars(f) | {"unused": list(f.unused)} for f in self.files],
            "rows": self.rows,
            "kept": self.kept,
            "rejected": self.rejected,
            "rejects": [r.to_dict() for r in self.rejects],
            "reasons": [list(pair) for pair in self.reasons],
            "removed": [
                {"kind": kind, "split": split, "rows": count}
                for (kind, split), count in self.removed.items()
            ],
            "removed_rows": self.removed_rows,
            "contradictions": {"pairs": self.contradicted, "rows": self.contradictions},
            "tokens": ledger_dict(self.ledger) if self.ledger else None,
            "figures": [f.to_dict() for f in self.figures],
            "benchmarks": self.benchmarks,
            "leaks": [vars(leak) for leak in self.leaks],
            "notes": self.notes,
            "seconds": round(self.seconds, 2),
        }


def ledger_dict(ledger: Ledger) -> dict[str, Any]:
    """The truncation ledger, JSON-able; lengths as a histogram."""
    lengths = np.asarray(ledger.lengths, np.int64)
    counts, edges = np.histogram(lengths, bins=20) if len(lengths) else (np.zeros(0), np.zeros(0))
    return {
        "max_length": ledger.max_length,
        "truncation": ledger.truncation,
        "rows": ledger.rows,
        "tokens": ledger.tokens,
        "trained": ledger.trained,
        "longest": ledger.longest,
        "too_long": ledger.too_long,
        "histogram": {"edges": [float(e) for e in edges], "rows": [int(c) for c in counts]},
        "policies": {name: vars(cost) for name, cost in ledger.policies.items()},
        "affected": [vars(a) for a in ledger.affected[:LISTED]],
        "refused": [vars(a) for a in ledger.refused[:LISTED]],
    }


class Survey:
    """One pass over a project's rows (or a file's), and the decisions about them.

    Args:
        chat: the model's chat format, for token figures.
        missing: splits to be split off from train; None: those that name no file.
        loose: accept files of prompts without answers.
    """

    def __init__(
        self,
        config: Config,
        root: Path,
        *,
        chat: ChatFormat | None = None,
        missing: Sequence[Split] | None = None,
        full: bool = True,
        strict: bool = False,
        loose: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        self.loose = loose
        self.config, self.root, self.chat = config, root, chat
        data = config.data
        self.given: dict[Split, list[str]] = {
            "train": data.train,
            "dev": data.dev,
            "test": data.test,
            "pool": data.pool,
        }
        if not data.train:
            raise ConfigError(
                "no training files are named",
                where="residency.toml [data] train",
                next_step='e.g. train = ["data/train.jsonl"]',
            )
        self.missing = [s for s in SPLITS if not self.given[s]] if missing is None else missing
        self.full, self.strict, self.progress = full, strict, progress
        self.files: list[FileRead] = []
        self.rejects: list[Reject] = []
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        self.sample = sampled.Sample()
        self.answers, self.artefacts, self.private = Answers(), Artefacts(), Private()
        self._meters = (self.answers, self.artefacts, self.private, self.sample)
        self._builder = TableBuilder(spill=True, stratify=data.stratify)
        self._places, self._lines = array("H"), array("q")
        self._ledger = LedgerBuilder(config.model.max_length, data.truncation)
        self.untrainable = Flags()
        self.unanswered = 0
        self._row = 0
        self._read()
        self.table = self._builder.table()
        self.decision = decide(
            self.table, data, missing=self.missing, full=self.full, progress=progress
        )

    def _read(self) -> None:
        for split in SPLITS:
            # A file of prompts alone is no training data, but can be looked at.
            need = None if self.loose else split in TRAINING
            for source in find_sources(self.given[split], self.root):
                reader = SourceReader(source, self.config.data, split, need=need)
                for item in reader:
                    if isinstance(item, Example):
                        self._add(item, split)
                    else:
                        self._reject(item)
                self.files.append(reader.summary())

    def _reject(self, reject: Reject) -> None:
        if self.strict:
            place = f"{reject.file}:{reject.line}"
            raise DataError(
                reject.reason,
                where=f'{place} field "{reject.field}"' if reject.field else place,
                next_step="correct the row, or run without --strict to leave it out",
            )
        self.rejected += 1
        self.reasons[f"{reject.field}: {reject.reason}" if reject.field else reject.reason] += 1
        if len(self.rejects) < LISTED:
            self.rejects.append(reject)

    def _add(self, example: Example, split: Split) -> None:
        if self._row % 1000 == 0:
            self.progress(ProgressEvent("read", self._row, 0, "rows"))
        self._builder.add(example)
        self._places.append(len(self.files))
        self._lines.append(int(example.source.rpartition(":")[2]))
        self.unanswered += example.reference is None
        answer = answer_text(example) if example.prompt else example.messages[-1].content
        view = View(self._row, example, example.prompt_text, answer, words(answer))
        for meter in self._meters:
            meter.add(view)
        if self.chat is not None and split in TRAINING and example.reference is not None:
            self._count_tokens(view)
        self._row += 1

    def _count_tokens(self, view: View) -> None:
        assert self.chat is not None
        try:
            rows = encode_example(view.example, self.chat)
        except TemplateError as error:
            self._ledger.refuse(view.example, error.what)
            self.untrainable.add(view, error.what)
            return
        if not sum(len(self._ledger.add(row)) for row in rows):
            self.untrainable.add(view, f"{rows[0].length} tokens")

    # --- what came out --------------------------------------------------------------------

    def source(self, row: int) -> str:
        """Where a row stands."""
        return f"{self.files[self._places[row]].path}:{self._lines[row]}"

    def split(self, row: int) -> Split:
        """The split of a row, after splitting off."""
        return SPLITS[int(self.decision.splits[row])]

    def ledger(self) -> Ledger | None:
        """Token figures of train and pool; None without a tokenizer."""
        return self._ledger.ledger() if self.chat is not None else None

    def counts(self, decision: Decision, *, alive: bool) -> dict[str, int]:
        """Rows by split."""
        splits = decision.splits[decision.alive] if alive else decision.splits
        return {s: int((splits == n).sum()) for n, s in enumerate(SPLITS)}

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

    def leaks(self, benchmarks: Mapping[str, Sequence[str]]) -> list[tuple[int, Leak]]:
        """Living train and pool rows that come near a benchmark's items, with their row numbers."""
        splits = self.decision.splits
        wanted = np.isin(splits, [SPLITS.index(s) for s in TRAINING]) & self.decision.alive
        rows = np.flatnonzero(wanted)
        out: list[tuple[int, Leak]] = []
        for name, items in benchmarks.items():
            store = WordStore()
            places = np.asarray([store.add(text) for text in items], np.int64).reshape(-1, 2)
            protected = ProtectedGrams(Words(store.values(), places[:, 0], places[:, 1]))
            protected.count(self.table.prompts.take(rows))
            for hit in protected.find(self.table.prompts.take(rows)):
                row = int(rows[hit.row])
                rule = f"{hit.rule} overlap, {hit.share:.0%} of the item's"
                out.append((row, Leak(name, hit.item, self.source(row), rule)))
        return out


def check(
    config: Config,
    root: Path,
    *,
    subject: str = "",
    chat: ChatFormat | None = None,
    embedder: Embedder | None = None,
    benchmarks: Mapping[str, Sequence[str]] | None = None,
    missing: Sequence[Split] | None = None,
    full: bool = True,
    strict: bool = False,
    loose: bool = False,
    progress: Progress = no_progress,
) -> tuple[CheckReport, Survey]:
    """Look at every row and say what is wrong; the survey serves ``fixing.fix``.

    Args:
        chat: for token figures and the truncation ledger. embedder: for topics, meaning and
            labels. benchmarks: name → texts of items that training rows must not come near.

    Raises:
        ConfigError, DataError: as ``load_corpus``.
    """
    began = time.monotonic()
    survey = Survey(
        config,
        root,
        chat=chat,
        missing=missing,
        full=full,
        strict=strict,
        loose=loose,
        progress=progress,
    )
    decision = survey.decision
    figures = [
        *survey.answers.figures(),
        *survey.artefacts.figures(),
        *survey.private.figures(),
        _contradiction_figure(survey),
        *_sampled(survey, embedder, progress),
    ]
    leaks = survey.leaks(benchmarks or {})
    notes = []
    if survey.unanswered:
        notes.append(f"{survey.unanswered} rows have no answer: to evaluate on, not to train on")
    if chat is None:
        notes.append("token lengths were not looked at: no tokenizer (see residency base fetch)")
    if embedder is None:
        notes.append("topics, meaning and labels were not looked at: no embedder")
    if not benchmarks:
        notes.append(
            "no local benchmark copies: not compared with ARC, HellaSwag, MMLU, TruthfulQA"
        )
    removed = Counter((d.kind, survey.split(d.row)) for d in decision.drops)
    report = CheckReport(
        subject=subject or str(root),
        files=survey.files,
        rows=survey.counts(decision, alive=False),
        kept=survey.counts(decision, alive=True),
        rejected=survey.rejected,
        rejects=survey.rejects,
        reasons=survey.reasons.most_common(20),
        removed=dict(sorted(removed.items())),
        removed_rows=[survey.removal(n) for n in range(min(LISTED, len(decision.drops)))],
        contradictions=[
            (survey.source(a), survey.source(b)) for a, b in decision.contradictions[:LISTED]
        ],
        contradicted=len(decision.contradictions),
        ledger=survey.ledger(),
        figures=figures,
        leaks=[leak for _, leak in leaks],
        benchmarks={name: len(items) for name, items in (benchmarks or {}).items()},
        notes=notes,
        seconds=time.monotonic() - began,
    )
    return report, survey


def _contradiction_figure(survey: Survey) -> Figure:
    pairs = survey.decision.contradictions
    return Figure(
        "contradictions",
        "same prompt, different answer",
        len({row for pair in pairs for row in pair}),
        len(survey.table),
        "warn" if pairs else "info",
        examples=tuple(
            Sighting(survey.source(b), f"same prompt as {survey.source(a)}") for a, b in pairs[:5]
        ),
        action="keep the better answer; where both are right, say in the prompt what decides"
        if pairs
        else "",
    )


def _sampled(survey: Survey, embedder: Embedder | None, progress: Progress) -> list[Figure]:
    views, partial = survey.sample.views, survey.sample.partial
    if not views:
        return []
    progress(ProgressEvent("sample", 0, 3, "passes"))
    out = [
        sampled.diversity(views, partial=partial),
        *sampled.languages(views, partial=partial),
        sampled.spelling(views, partial=partial),
    ]
    progress(ProgressEvent("sample", 1, 3, "passes"))
    if embedder is not None:
        asked = [v for v in views if v.prompt] or views
        vectors = topics.embed_prompts(asked, embedder)
        out += [
            topics.topics(asked, vectors, partial=partial),
            topics.semantic_duplicates(asked, vectors, partial=partial),
            topics.label_suspects(asked, vectors, partial=partial),
        ]
    progress(ProgressEvent("sample", 3, 3, "passes"))
    return out
