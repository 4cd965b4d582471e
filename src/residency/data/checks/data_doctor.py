"""The data doctor: one pass over the rows, then what is wrong with them and what to do.

Rows are streamed; what stays of each is a few numbers (``table``), the rows in which something
was seen, and a fixed sample. Memory grows by about 150 bytes a row, whatever its length.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from residency.chat.chat_format import ChatFormat
from residency.config.settings import Config
from residency.data.block_workers import Spread, run_here
from residency.data.checks import row_sample as sampled
from residency.data.checks import topics
from residency.data.checks.figures import EXAMPLES, Figure, Sighting, View, shorten_text
from residency.data.checks.languages import check_languages
from residency.data.checks.pass_totals import LISTED
from residency.data.checks.spelling import check_spelling
from residency.data.checks.survey import Leak, Survey
from residency.data.checks.truncation_ledger import Ledger
from residency.data.corpus import PAIRS_NOTE
from residency.data.reading.row_reader import Reject
from residency.data.reading.source_reader import FileRead
from residency.data.reading.split_marks import suggest_division
from residency.files.opening import describe_conversion
from residency.interfaces import Embedder, Progress, ProgressEvent, no_progress
from residency.nouns.example import DealtSplit
from residency.text.counts import write_count


@dataclass(frozen=True)
class CheckReport:
    """What the doctor says.

    Attributes:
        subject: what was checked. files: every source and how its columns were read.
        rows: rows that could be read, by split; after splitting off, before anything is left out.
        kept: rows that stay, by split. rejects: rows that could not be read (the first 1000).
        removed: number of rows left out, by (kind, split). removed_rows: the first 1000.
        contradictions: pairs of rows with the same prompt and different answers (the first 1000).
        ledger: token figures; None without a tokenizer. figures: the quality report.
        dev_tags: groups of each tag among the dev rows that stay, most frequent first.
        leaks: training rows near a benchmark. benchmarks: those compared with, and their items.
        near_guard: general rows near a question of ``rounds.guard``, which no training gets: one
            entry for each.
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
    dev_tags: dict[str, int] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    near_guard: list[Leak] = field(default_factory=list)
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
            "dev_tags": self.dev_tags,
            "benchmarks": self.benchmarks,
            "leaks": [vars(leak) for leak in self.leaks],
            "near_guard": [vars(leak) for leak in self.near_guard],
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


def check_data(
    config: Config,
    root: Path,
    *,
    subject: str = "",
    chat: ChatFormat | None = None,
    embedder: Embedder | None = None,
    benchmarks: Mapping[str, Sequence[str]] | None = None,
    missing: Sequence[DealtSplit] | None = None,
    full: bool = True,
    strict: bool = False,
    loose: bool = False,
    spread: Spread = run_here,
    progress: Progress = no_progress,
) -> tuple[CheckReport, Survey]:
    """Look at every row and say what is wrong; the survey serves ``fixing.fix``.

    Args:
        chat: for token figures and the truncation ledger. embedder: for topics, meaning and
            labels. benchmarks: name → texts of items that training rows must not come near.
        spread: where blocks of rows are looked at: ``here``, or on a cluster.

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
        spread=spread,
        progress=progress,
    )
    decision = survey.decision
    figures = [
        *survey.findings.answers.figures(),
        *survey.findings.artefacts.figures(),
        *survey.findings.private.figures(),
        _contradiction_figure(survey),
        *_examine_sample(survey, embedder, progress),
    ]
    leaks = survey.leaks(benchmarks or {})
    notes = _write_notes(survey, chat, embedder=embedder, benchmarks=benchmarks)
    removed = Counter((d.kind, survey.split(d.row)) for d in decision.drops)
    report = CheckReport(
        subject=subject or str(root),
        files=survey.files,
        rows=survey.counts(decision, alive=False),
        kept=survey.counts(decision, alive=True),
        rejected=survey.findings.rejected,
        rejects=survey.findings.rejects,
        reasons=survey.findings.reasons.most_common(20),
        removed=dict(sorted(removed.items())),
        removed_rows=[survey.removal(n) for n in range(min(LISTED, len(decision.drops)))],
        contradictions=[
            (survey.source(a), survey.source(b)) for a, b in decision.contradictions[:LISTED]
        ],
        contradicted=len(decision.contradictions),
        ledger=survey.ledger(),
        figures=figures,
        dev_tags=survey.count_dev_tags(),
        leaks=[leak for _, leak in leaks],
        benchmarks={name: len(items) for name, items in (benchmarks or {}).items()},
        notes=notes,
        seconds=time.monotonic() - began,
    )
    return report, survey


def _write_notes(
    survey: Survey,
    chat: ChatFormat | None,
    *,
    embedder: Embedder | None,
    benchmarks: Mapping[str, Sequence[str]] | None,
) -> list[str]:
    """What was not looked at and why, and what the reader should know about the rows."""
    findings = survey.findings
    notes = _encoding_notes(survey)
    if findings.unanswered:
        notes.append(
            f"{write_count(findings.unanswered, 'row has', 'rows have')} no answer: to evaluate on, not to train on"
        )
    notes += _write_reading_notes(survey)
    if chat is None:
        notes.append("token lengths were not looked at: no tokenizer (see residency base fetch)")
    elif findings.tools and not chat.shows_tools:
        notes.append(
            f"{write_count(findings.tools, 'row defines', 'rows define')} tools, which this chat template does not write: the "
            "model would learn to call what it is not shown; choose a base whose template does"
        )
    if embedder is None:
        notes.append("topics, meaning and labels were not looked at: no embedder")
    if not benchmarks:
        notes.append(
            "no local benchmark copies: not compared with ARC, HellaSwag, MMLU, TruthfulQA"
        )
    return notes


def _write_reading_notes(survey: Survey) -> list[str]:
    """What was left out of rows, what becomes of pairs, and prompts that stand inside raw texts."""
    findings = survey.findings
    notes = [
        f"{write_count(count, 'row')}: {change}" for change, count in findings.changed.most_common()
    ]
    if findings.pairs and survey.config.train.objective != "dpo":
        notes.append(PAIRS_NOTE.format(pairs=findings.pairs))
    raw = [v.example.messages[0].content for v in findings.sample.views if not v.example.prompt]
    if raw:
        division = suggest_division(raw)
        notes.append(
            f"{write_count(findings.raw, 'row is', 'rows are')} raw text without a prompt: they can be trained on, but nothing "
            "can be asked of them, so none may be a dev or test row"
            + (f"; {division}" if division else "")
        )
    return notes


def _encoding_notes(survey: Survey) -> list[str]:
    """How to convert the first file whose rows are not UTF-8."""
    undecodable = next(
        (r for r in survey.findings.rejects if r.reason.startswith("not UTF-8")), None
    )
    return (
        [f"{undecodable.file}: {describe_conversion(Path(undecodable.file))}"]
        if undecodable
        else []
    )


def _contradiction_figure(survey: Survey) -> Figure:
    pairs = survey.decision.contradictions
    views = {view.number: view for view in survey.findings.sample.views}
    pairs_in_sample = [(a, b) for a, b in pairs if a in views and b in views] or pairs
    return Figure(
        "contradictions",
        "same prompt, different answer",
        len({row for pair in pairs for row in pair}),
        len(survey.table),
        "warn" if pairs else "info",
        examples=tuple(
            Sighting(survey.source(b), _two_answers(survey.source(a), views.get(a), views.get(b)))
            for a, b in pairs_in_sample[:EXAMPLES]
        ),
        action="keep the better answer; where both are right, say in the prompt what decides"
        if pairs
        else "",
    )


def _two_answers(source: str, one: View | None, other: View | None) -> str:
    """Where the other row stands and, where both rows are at hand, its prompt and answer."""
    if one is None or other is None:
        return f"same prompt as {source}"
    asking = shorten_text(one.prompt, 60)
    return f"{asking} → {shorten_text(other.answer, 60)} | {source}: {shorten_text(one.answer, 60)}"


def _examine_sample(survey: Survey, embedder: Embedder | None, progress: Progress) -> list[Figure]:
    views, partial = survey.findings.sample.views, survey.findings.sample.partial
    if not views:
        return []
    progress(ProgressEvent("sample", 0, 3, "passes"))
    out = [
        sampled.measure_diversity(views, partial=partial),
        *check_languages(views, partial=partial),
        check_spelling(views, partial=partial),
    ]
    progress(ProgressEvent("sample", 1, 3, "passes"))
    if embedder is not None:
        asking = [v for v in views if v.prompt] or views
        vectors = topics.embed_prompts(asking, embedder)
        out += [
            topics.find_topics(asking, vectors, partial=partial),
            topics.find_semantic_duplicates(asking, vectors, partial=partial),
            topics.find_label_suspects(asking, vectors, partial=partial),
        ]
    progress(ProgressEvent("sample", 3, 3, "passes"))
    return out
