"""All the user's rows, read, cleaned and split: what every round works on.

In order: read; leave out exact duplicates; find near-duplicates (they share a group);
split off what was not given; remove near-duplicates from train and pool; remove rows that
belong to a group of a more protected split; remove train and pool rows that come near dev or
test; apply ``data.limit``. Every removed row is listed with its reason. No file is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from residency.config import Config
from residency.data.distinct import distinct_words
from residency.data.grams import Flat, WordHasher, grams
from residency.data.overlap import ProtectedGrams, select
from residency.data.read import FileRead, Reject, read
from residency.data.similar import SHINGLE, find_near
from residency.data.splits import assign, limit_groups, normalise
from residency.errors import ConfigError, DataError
from residency.types import SPLITS, Example, Progress, ProgressEvent, Split, no_progress

PROTECTED: tuple[Split, ...] = ("test", "dev")


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
    given: dict[Split, list[str]] = {
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
    removed: list[Removed] = []
    # The most protected come first, so that of two alike it is the training row that goes.
    order: list[Split] = ["test", "dev", "train", "pool"]
    rows = sorted(rows, key=lambda e: order.index(e.split))
    rows = _drop_exact(rows, removed)
    progress(ProgressEvent("compare", 0, 2, "passes"))
    hasher = WordHasher()
    words = distinct_words(rows, hasher)
    answers = hasher.flat(_answer_text(e) for e in rows)
    near = find_near(grams(words, SHINGLE), grams(answers, SHINGLE), config.data.near_duplicate)
    keys = _group_keys(rows, {i: n.row for i, n in near.items()})
    if missing:
        rows = _assign(rows, keys, missing, config)
    contradictions: list[tuple[str, str]] = []
    alive = np.ones(len(rows), bool)
    for index, found in near.items():
        row, other = rows[index], rows[found.row]
        protected = other.split in PROTECTED and row.split not in PROTECTED
        if protected and alive[found.row]:
            alive[index] = False
            removed.append(
                _removal(row, other, "contamination", f"near-duplicate ({found.score:.2f}) of")
            )
        elif found.duplicate and row.split not in PROTECTED:
            alive[index] = False
            removed.append(
                _removal(row, other, "near-duplicate", f"Jaccard {found.score:.2f} with")
            )
        elif found.score == 1.0 and not found.duplicate and row.group != (other.group or "-"):
            contradictions.append((other.source, row.source))
    _drop_straddling(rows, alive, removed)
    progress(ProgressEvent("compare", 1, 2, "passes"))
    _drop_contaminated(rows, words, alive, removed)
    kept = [
        replace(row, group=row.group or _group_name(rows, keys, index))
        for index, row in enumerate(rows)
        if alive[index]
    ]
    kept.sort(key=lambda e: SPLITS.index(e.split))
    if not full:
        kept = _limit(kept, config, removed)
    progress(ProgressEvent("compare", 2, 2, "passes"))
    return Corpus(kept, removed=removed, contradictions=contradictions)


def _answer_text(example: Example) -> str:
    if len(example.messages) == 1:
        return ""
    last = example.messages[-1]
    calls = " ".join(str(call.get("function", call)) for call in last.tool_calls)
    return " ".join(filter(None, (example.reference, calls, example.rejected)))


def _drop_exact(rows: Sequence[Example], removed: list[Removed]) -> list[Example]:
    first: dict[str, Example] = {}
    out: list[Example] = []
    for row in rows:
        other = first.setdefault(row.id, row)
        if other is row:
            out.append(row)
        elif other.split in PROTECTED and row.split not in PROTECTED:
            removed.append(_removal(row, other, "contamination", "the same row as"))
        else:
            removed.append(_removal(row, other, "exact duplicate", "the same row as"))
    return out


def _removal(row: Example, other: Example, kind: str, words: str) -> Removed:
    place = f"{words} {other.source or other.id} ({other.split})"
    return Removed(row.source, row.split, kind, place, other.source, row.id)


def _group_keys(rows: Sequence[Example], near: dict[int, int]) -> list[str]:
    """The key by which each row is split: the user's group, or the first near row's, or its own."""
    keys: list[str] = []
    for index, row in enumerate(rows):
        if row.group:
            keys.append(f"group:{row.group}")
        elif index in near:
            keys.append(keys[near[index]])
        else:
            keys.append(f"row:{row.id}")
    return keys


def _group_name(rows: Sequence[Example], keys: Sequence[str], index: int) -> str:
    key = keys[index]
    return key.removeprefix("group:") if key != f"row:{rows[index].id}" else ""


def _assign(
    rows: Sequence[Example], keys: Sequence[str], missing: Sequence[Split], config: Config
) -> list[Example]:
    """Split off the missing splits from the train rows."""
    shares = normalise(config.data.split, ["train", *missing])
    index = [i for i, row in enumerate(rows) if row.split == "train"]
    tag = config.data.stratify
    strata = None
    if tag:
        strata = [next((t for t in rows[i].tags if t.startswith(f"{tag}=")), "") for i in index]
        if not any(strata):
            raise ConfigError(
                f"no row has a tag {tag}=…",
                where="residency.toml [data] stratify",
                next_step=f'name the column in [data] tags = ["{tag}"]',
            )
    chosen = assign([keys[i] for i in index], shares, strata)
    out = list(rows)
    for i, split in zip(index, chosen, strict=True):
        out[i] = replace(rows[i], split=split)
    return out


def _drop_straddling(
    rows: Sequence[Example],
    alive: np.ndarray,
    removed: list[Removed],
) -> None:
    """Rows whose group also stands in a more protected split."""
    rank = {"test": 0, "dev": 1, "train": 2, "pool": 2}
    best: dict[str, Example] = {}
    for index, row in enumerate(rows):
        if row.group and alive[index]:
            kept = best.setdefault(row.group, row)
            if rank[row.split] < rank[kept.split]:
                best[row.group] = row
    for index, row in enumerate(rows):
        if row.group and alive[index] and rank[row.split] > rank[best[row.group].split]:
            alive[index] = False
            other = best[row.group]
            removed.append(_removal(row, other, "group", f"its group {row.group!r} also holds"))


def _drop_contaminated(
    rows: Sequence[Example],
    words: Flat,
    alive: np.ndarray,
    removed: list[Removed],
) -> None:
    """Train and pool rows that share long runs of words with dev or test; dev rows with test."""
    ranks = {"test": 0, "dev": 1}
    living = [int(i) for i in np.flatnonzero(alive)]
    for level in ("test", "dev"):
        items = [i for i in living if rows[i].split == level]
        others = [i for i in living if alive[i] and ranks.get(rows[i].split, 2) == 2]
        if not items or not others:
            continue
        protected = ProtectedGrams(select(words, items))
        protected.count(select(words, living))
        for hit in protected.find(select(words, others)):
            index, item = others[hit.row], items[hit.item]
            alive[index] = False
            what = f"{hit.rule} overlap ({hit.share:.0%} of its n-grams) with"
            removed.append(_removal(rows[index], rows[item], "contamination", what))


def _limit(rows: list[Example], config: Config, removed: list[Removed]) -> list[Example]:
    limits = config.data.limit
    unknown = set(limits) - set(SPLITS)
    if unknown or any(value < 1 for value in limits.values()):
        raise ConfigError(
            f"a limit of 1 or more for {', '.join(SPLITS)} is expected; found {limits}",
            where="residency.toml [data] limit",
        )
    out: list[Example] = []
    for split in SPLITS:
        part = [row for row in rows if row.split == split]
        if split in limits:
            keep = limit_groups([row.group or row.id for row in part], limits[split])
            removed += [
                Removed(r.source, split, "limit", f"data.limit.{split} = {limits[split]}", "", r.id)
                for r, k in zip(part, keep, strict=True)
                if not k
            ]
            part = [row for row, k in zip(part, keep, strict=True) if k]
        out += part
    return out


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
