"""All the user's rows, read, cleaned and split: what every round works on.

In order: read; split off what was not given; leave out exact duplicates; remove near-duplicates
from train and pool; remove rows that belong to a group of a more protected split; remove train
and pool rows that come near dev or test (and dev rows near test); apply ``data.limit``. Every
removed row is listed with its reason. No file is changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from residency.config.settings import Config
from residency.data.cleaning.decide_rows import Decision, Drop, decide_rows
from residency.data.collected_rows import CollectedRows, is_collected, read_collected
from residency.data.dev_mix import describe_oversampled
from residency.data.reading.row_reader import Reject
from residency.data.reading.source_reader import FileRead, read_sources
from residency.data.reading.sources import list_split_files
from residency.data.reading.split_marks import describe_mark, find_split_mark, suggest_division
from residency.data.row_table import RANK, TableBuilder
from residency.errors import DataError
from residency.interfaces import Progress, no_progress
from residency.nouns.example import DEALT_SPLITS, SPLITS, DealtSplit, Example, Split
from residency.nouns.short_view import ShortView
from residency.text.counts import write_count


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


@dataclass(frozen=True, repr=False)
class Corpus(ShortView):
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
    collected: CollectedRows | None = None,
    progress: Progress = no_progress,
) -> Corpus:
    """The project's rows (see the module for the steps).

    Args:
        collected: rows that were collected or made, as people decided of them (default: all of the
            project's file).
        full: ignore ``data.limit``.
        strict: stop at the first row that cannot be read.

    Raises:
        ConfigError: no training files are named.
        DataError: a file cannot be read, or no training row is left.
    """
    data = config.data
    split_files = list_split_files(data)
    rows: list[Example] = []
    rejects: list[Reject] = []
    files: list[FileRead] = []
    for split in SPLITS:
        if split_files[split]:
            result = read_sources(
                split_files[split], data, split, root, strict=strict, progress=progress
            )
            rows += result.examples
            rejects += result.rejects
            files += result.files
    missing = [s for s in DEALT_SPLITS if not split_files[s]]
    # A pattern in data.train may catch the file of collected rows: they join train, and only train.
    rows = [row for row in rows if not is_collected(row)]
    of_pairs = config.train.objective == "dpo"
    rows, unpaired = _leave_out_unpaired(rows) if of_pairs else (rows, Counter[Split]())
    collected = read_collected(root) if collected is None else collected
    collected = collected.take_pairs() if of_pairs else collected
    corpus = clean_rows(
        rows, config, added=collected.examples, missing=missing, full=full, progress=progress
    )
    if not any(e.split == "train" for e in corpus.examples):
        why = f"; the first rejected row: {rejects[0]}" if rejects else ""
        raise DataError(
            f"no training row is left{why}",
            where=", ".join(data.train),
            next_step="residency check tells of every row where it went; add rows, or change data.split",
        )
    _need_prompts(corpus)
    notes = _write_notes(
        corpus, rejects, missing, config.train.objective, config.data.oversample_dev
    )
    notes += [
        f"{write_count(count, f'row of {split} holds', f'rows of {split} hold')} no worse answer, left out: "
        'train.objective is "dpo"'
        for split, count in unpaired.items()
    ]
    changed = Counter[str]()
    for file in files:
        changed.update(file.changed)
    notes += [f"{write_count(count, 'row')}: {change}" for change, count in changed.most_common()]
    notes += [f"{file.path}: {note}" for file in files for note in file.ratings]
    return replace(corpus, rejects=rejects, files=files, notes=[*notes, *collected.write_notes()])


def _leave_out_unpaired(rows: Sequence[Example]) -> tuple[list[Example], Counter[Split]]:
    """Without train and replay rows that hold no worse answer, where others do; how many they were.

    Where no train row holds one, all stay: training says what is missing.
    """
    unpaired = [row for row in rows if row.split in ("train", "replay") and row.rejected is None]
    counts = Counter(row.split for row in unpaired)
    if counts["train"] == sum(row.split == "train" for row in rows):
        return list(rows), Counter()
    left_out = {id(row) for row in unpaired}
    return [row for row in rows if id(row) not in left_out], counts


def _need_prompts(corpus: Corpus) -> None:
    """That dev and test rows hold prompts.

    Raises:
        DataError: some were split off from raw text.
    """
    raw = [e for e in corpus.examples if e.split in ("dev", "test") and not e.prompt]
    if not raw:
        return
    texts = [e.messages[0].content for e in raw]
    mark = find_split_mark(texts)
    divide = (
        f"the texts seem to hold prompts: [data] split_at = {json.dumps(mark)} "
        f"(residency check {describe_mark(mark)} shows what it gives)"
        if mark
        else suggest_division(texts)
        or 'if prompt and answer stand in one text, name what divides them: [data] split_at = "…"'
    )
    raise DataError(
        f"{len(raw)} dev and test rows are raw text without a prompt: nothing could be asked",
        where=raw[0].source,
        next_step=f"{divide}; to train on raw text, name dev and test files with prompts, or use "
        "residency pretrain",
    )


def clean_rows(
    rows: Sequence[Example],
    config: Config,
    *,
    added: Sequence[Example] = (),
    missing: Sequence[DealtSplit] = (),
    full: bool = False,
    progress: Progress = no_progress,
) -> Corpus:
    """Deduplicate, split and decontaminate rows that are already read.

    Args:
        added: training rows that were collected or made; they stay in train whatever is split off.
        missing: splits that are to be split off from the train rows.
    """
    builder = TableBuilder(stratify=config.data.stratify, tags=config.data.oversample_dev)
    for row in rows:
        builder.add(row)
    for row in added:
        builder.add(replace(row, split="train"), fixed=True)
    rows = [*rows, *added]
    decision = decide_rows(
        builder.table(), config.data, missing=missing, full=full, progress=progress
    )
    groups = _near_groups(rows, decision)
    examples = [
        replace(row, split=SPLITS[decision.splits[n]], group=groups.get(n, row.group))
        for n, row in enumerate(rows)
        if decision.alive[n]
    ]
    examples.sort(key=lambda e: SPLITS.index(e.split))
    removed = [_describe_removal(rows, decision, drop) for drop in decision.drops]
    pairs = [(rows[a].source, rows[b].source) for a, b in decision.contradictions]
    return Corpus(examples, removed=removed, contradictions=pairs)


def _describe_removal(rows: Sequence[Example], decision: Decision, drop: Drop) -> Removed:
    row, split = rows[drop.row], SPLITS[decision.splits[drop.row]]
    if drop.other < 0:
        return Removed(row.source, split, drop.kind, drop.rule, "", row.id)
    other = rows[drop.other]
    reason = f"{drop.rule}: {other.source or other.id} ({SPLITS[decision.splits[drop.other]]})"
    return Removed(row.source, split, drop.kind, reason, other.source, row.id)


def _near_groups(rows: Sequence[Example], decision: Decision) -> dict[int, str]:
    """Rows without a group join that of the earlier row that they are near to."""
    groups: dict[int, str] = {}
    for row in sorted(decision.near):
        other = decision.near[row].row
        if RANK[SPLITS[decision.splits[row]]] != RANK[SPLITS[decision.splits[other]]]:
            continue  # a group never straddles splits
        if decision.alive[row] and decision.alive[other] and not rows[row].group:
            name = groups.get(other) or rows[other].group or f"near-{rows[other].id}"
            groups[row] = name
            groups.setdefault(other, name)
    return groups


PAIRS_NOTE = (
    "preference pairs: {pairs}; only their better answers are trained; "
    'train.objective = "dpo" trains on both'
)


def _write_notes(
    corpus: Corpus, rejects: Sequence[Reject], missing: Sequence[DealtSplit], objective: str,
    oversampled: Mapping[str, int],
) -> list[str]:  # fmt: skip
    notes = []
    counts = Counter(e.split for e in corpus.examples)
    shown = [s for s in SPLITS if s in DEALT_SPLITS or counts[s]]
    notes.append("rows: " + ", ".join(f"{counts[s]} {s}" for s in shown))
    if rejects:
        notes.append(f"{write_count(len(rejects), 'row')} could not be read, e.g. {rejects[0]}")
    pairs = sum(e.rejected is not None for e in corpus.examples)
    if pairs and objective != "dpo":
        notes.append(PAIRS_NOTE.format(pairs=pairs))
    if missing:
        notes.append(f"split off from train by group hash: {', '.join(missing)}")
    notes += describe_oversampled(corpus.examples, oversampled)
    for (kind, split), count in sorted(Counter((r.kind, r.split) for r in corpus.removed).items()):
        example = next(r for r in corpus.removed if (r.kind, r.split) == (kind, split))
        notes.append(
            f"{write_count(count, f'{split} row')} left out ({kind}), e.g. {example.source}: {example.reason}"
        )
    if corpus.contradictions:
        first = corpus.contradictions[0]
        notes.append(
            f"{write_count(len(corpus.contradictions), 'pair has', 'pairs have')} the same prompt and different answers, "
            f"e.g. {first[0]} and {first[1]}"
        )
    return notes
