"""All the user's rows, read, cleaned and split: what every round works on.

In order: read; split off what was not given; leave out exact duplicates; remove near-duplicates
from train and pool; remove rows that belong to a group of a more protected split; remove train
and pool rows that come near dev or test (and dev rows near test); apply ``data.limit``. Every
removed row is listed with its reason. No file is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from residency.config.settings import Config
from residency.data.cleaning.decide_rows import Decision, Drop, decide
from residency.data.reading.row_reader import FileRead, Reject, read
from residency.data.reading.sources import given_files
from residency.data.row_table import TableBuilder
from residency.errors import DataError
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import SPLITS, Example, Split


@dataclass(frozen=True)
class Removed:
    """A row that was left out.

    ``kind`` is ``exact duplicate``, ``near-duplicate``, ``contamination``, ``group`` or ``limit``;
    ``near`` is the source of the row that it resembles.
    """

    source: str
    split: Split
    kind: str
    reason: str
    near: str = ""
    example: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {
            "source": self.source,
            "split": self.split,
            "kind": self.kind,
            "reason": self.reason,
            "near": self.near,
            "example": self.example,
        }


@dataclass(frozen=True)
class Corpus:
    """The rows of all splits, in order, and what was left out on the way to them.

    Attributes:
        examples: rows of train, dev, test and pool; ids are unique.
        rejects: rows that could not be read. removed: rows that were left out, each with why.
        files: every source with its hash, rows and how its columns were read.
        notes: the same in a few sentences.
        contradictions: pairs of sources whose prompts are alike but whose answers differ.
    """

    examples: list[Example]
    rejects: list[Reject] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    files: list[FileRead] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contradictions: list[tuple[str, str]] = field(default_factory=list)

    def split(self, name: Split) -> list[Example]:
        """Rows of one split, in order."""
        return [e for e in self.examples if e.split == name]


def load_corpus(
    config: Config,
    root: Path,
    *,
    full: bool = False,
    strict: bool = False,
    progress: Progress = no_progress,
) -> Corpus:
    """The project's rows (see the module for the steps).

    Args:
        full: ignore ``data.limit``.
        strict: stop at the first row that cannot be read.

    Raises:
        ConfigError: no training files are named.
        DataError: a file cannot be read, or no training row is left.
    """
    data = config.data
    given = given_files(data)
    rows: list[Example] = []
    rejects: list[Reject] = []
    files: list[FileRead] = []
    for number, split in enumerate(SPLITS):
        progress(ProgressEvent("read", number, len(SPLITS), "splits"))
        if given[split]:
            result = read(given[split], data, split, root, strict=strict)
            rows += result.examples
            rejects += result.rejects
            files += result.files
    missing = [s for s in SPLITS if not given[s]]
    corpus = clean(rows, config, missing=missing, full=full, progress=progress)
    if not any(e.split == "train" for e in corpus.examples):
        why = f"; the first rejected row: {rejects[0]}" if rejects else ""
        raise DataError(f"no training row is left{why}", where=", ".join(data.train))
    return replace(corpus, rejects=rejects, files=files, notes=_notes(corpus, rejects, missing))


def clean(
    rows: Sequence[Example],
    config: Config,
    *,
    missing: Sequence[Split] = (),
    full: bool = False,
    progress: Progress = no_progress,
) -> Corpus:
    """Deduplicate, split and decontaminate rows that are already read.

    Args:
        missing: splits that are to be split off from the train rows.
    """
    builder = TableBuilder(stratify=config.data.stratify)
    for row in rows:
        builder.add(row)
    made = decide(builder.table(), config.data, missing=missing, full=full, progress=progress)
    groups = _near_groups(rows, made)
    kept = [
        replace(row, split=SPLITS[made.splits[n]], group=groups.get(n, row.group))
        for n, row in enumerate(rows)
        if made.alive[n]
    ]
    kept.sort(key=lambda e: SPLITS.index(e.split))
    removed = [_removed(rows, made, drop) for drop in made.drops]
    pairs = [(rows[a].source, rows[b].source) for a, b in made.contradictions]
    return Corpus(kept, removed=removed, contradictions=pairs)


def _removed(rows: Sequence[Example], made: Decision, drop: Drop) -> Removed:
    row, split = rows[drop.row], SPLITS[made.splits[drop.row]]
    if drop.other < 0:
        return Removed(row.source, split, drop.kind, drop.rule, "", row.id)
    other = rows[drop.other]
    place = f"{drop.rule}: {other.source or other.id} ({SPLITS[made.splits[drop.other]]})"
    return Removed(row.source, split, drop.kind, place, other.source, row.id)


def _near_groups(rows: Sequence[Example], made: Decision) -> dict[int, str]:
    """Rows without a group of their own join that of the earlier row that they are near to."""
    groups: dict[int, str] = {}
    for row in sorted(made.near):
        other = made.near[row].row
        if made.alive[row] and made.alive[other] and not rows[row].group:
            name = groups.get(other) or rows[other].group or f"near-{rows[other].id}"
            groups[row] = name
            groups.setdefault(other, name)
    return groups


def _notes(corpus: Corpus, rejects: Sequence[Reject], missing: Sequence[Split]) -> list[str]:
    notes = []
    counts = Counter(e.split for e in corpus.examples)
    notes.append("rows: " + ", ".join(f"{counts[s]} {s}" for s in SPLITS))
    if rejects:
        notes.append(f"{len(rejects)} rows could not be read, e.g. {rejects[0]}")
    if missing:
        notes.append(f"split off from train by group hash: {', '.join(missing)}")
    for (kind, split), count in sorted(Counter((r.kind, r.split) for r in corpus.removed).items()):
        example = next(r for r in corpus.removed if (r.kind, r.split) == (kind, split))
        notes.append(
            f"{count} {split} rows left out ({kind}), e.g. {example.source}: {example.reason}"
        )
    if corpus.contradictions:
        first = corpus.contradictions[0]
        notes.append(
            f"{len(corpus.contradictions)} pairs have the same prompt and different answers, "
            f"e.g. {first[0]} and {first[1]}"
        )
    return notes
