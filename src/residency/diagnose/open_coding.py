"""Reading responses by hand: which to read, and when reading more shows nothing new.

Open coding notes the *first* failure of each response in free words; axial coding groups the
notes into five to ten binary failure modes. The fixed detectors stand beside this and do
not replace it. The sample is 65 % cluster representatives, so that rare kinds of prompt are seen,
and the rest at random, so that rates can still be estimated from that part.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from residency.diagnose.cluster_slices import cluster_vectors, find_medoids, name_clusters
from residency.diagnose.notes import Note
from residency.interfaces import Embedder
from residency.nouns.example import Example, by_id
from residency.nouns.response import Response
from residency.stats.intervals import clopper_pearson
from residency.text.percent import write_percent
from residency.text.words import split_words

REPRESENTATIVES = 0.65
AXIAL_AFTER = 40
QUIET = 20


@dataclass(frozen=True)
class ToRead:
    """One response to read, why it was chosen, and its cluster's keywords."""

    response: Response
    chosen: Literal["representative", "random"]
    cluster: str = ""


def choose_to_read(
    examples: Sequence[Example],
    responses: Sequence[Response],
    embedder: Embedder,
    *,
    count: int = 100,
    seed: int = 0,
) -> list[ToRead]:
    """Up to ``count`` responses, in the order to read them (representatives and random mixed).

    Prompt and response are clustered together, since the same question can fail in several
    ways. Responses of the finding half only should be passed: what is read finds issues.
    """
    count = min(count, len(responses))
    if not count:
        return []
    table = by_id(examples)
    texts = [f"{table[r.example].prompt_text}\n{r.text}" for r in responses]
    vectors = np.asarray(embedder.embed(texts))
    wanted = max(1, round(REPRESENTATIVES * count))
    distinct = len(np.unique(vectors, axis=0))
    labels = cluster_vectors(vectors, min(wanted, distinct), seed=seed).tolist()
    names = name_clusters([split_words(text) for text in texts], labels)
    chosen = {
        position: ToRead(responses[position], "representative", names[label])
        for label, position in find_medoids(vectors, labels).items()
    }
    rng = random.Random(seed)
    rest = [i for i in range(len(responses)) if i not in chosen]
    for position in rng.sample(rest, min(count - len(chosen), len(rest))):
        chosen[position] = ToRead(responses[position], "random", names[labels[position]])
    order = sorted(chosen)
    rng.shuffle(order)
    return [chosen[position] for position in order]


@dataclass(frozen=True)
class Progress:
    """How far reading is.

    ``next_step`` is ``read``, ``group`` (30–50 notes are there: form modes), or ``done`` (the
    last twenty notes showed no new mode). ``unseen_rate`` bounds, with 95 % confidence, the
    share of responses whose mode has not been seen yet.
    """

    read: int
    failing: int
    modes: tuple[str, ...]
    quiet: int
    next_step: Literal["read", "group", "done"]
    unseen_rate: float

    def describe(self) -> str:
        """How far it is and what to do next, in a sentence or two."""
        modes = "1 mode" if len(self.modes) == 1 else f"{len(self.modes)} modes"
        sentence = f"{self.read} read, {self.failing} with a failure, {modes}."
        if self.quiet:
            last = "answer" if self.quiet == 1 else str(self.quiet)
            sentence += (
                f" The last {last} showed nothing new: at most "
                f"{write_percent(self.unseen_rate, 0)} of answers fail in a way not seen yet."
            )
        steps = {
            "read": "Read on.",
            "group": "Group the notes into five to ten modes.",
            "done": "More reading is unlikely to show anything new.",
        }
        return f"{sentence} {steps[self.next_step]}"


def measure_progress(notes: Sequence[Note]) -> Progress:
    """What to do next, from the notes in the order in which they were written.

    A failing note without a mode may be a new one, so nothing is quiet until it is grouped. If
    no new mode came in the last ``k`` responses drawn at random, then with 95 % confidence fewer
    than 1 − 0.05^(1/k) of all responses have one (the exact form of the rule of three, Hanley and
    Lippman-Hand 1983): 14 % for twenty.
    """
    failing = [note for note in notes if note.text]
    modes: list[str] = []
    quiet = 0
    for note in notes:
        if note.text and (not note.mode or note.mode not in modes):
            quiet = 0
            if note.mode:
                modes.append(note.mode)
        else:
            quiet += 1
    ungrouped = any(not note.mode for note in failing)
    step: Literal["read", "group", "done"] = "read"
    if len(notes) >= AXIAL_AFTER and ungrouped:
        step = "group"
    elif len(notes) >= AXIAL_AFTER and quiet >= QUIET:
        step = "done"
    # Rule of three, exactly: no new mode in `quiet` responses.
    unseen = clopper_pearson(0, quiet, level=0.9)[1] if quiet else 1.0
    return Progress(len(notes), len(failing), tuple(modes), quiet, step, unseen)


@dataclass(frozen=True)
class ModeCounts:
    """A failure mode: notes in it, and how often it was the first failure in the part of the sample
    that was drawn at random (``rate`` of ``read`` with a 95 % interval; None where none was)."""

    name: str
    notes: tuple[Note, ...]
    rate: float | None
    low: float
    high: float
    read: int


def count_modes(notes: Sequence[Note], random_part: set[str]) -> list[ModeCounts]:
    """Modes with their notes, the commonest first.

    Args:
        random_part: ids of the responses that were drawn at random: only they speak of rates.
    """
    names = dict.fromkeys(note.mode for note in notes if note.mode)
    drawn = {note.response for note in notes if note.response in random_part}
    out = []
    for name in names:
        notes_of_mode = tuple(note for note in notes if note.mode == name)
        failing = {note.response for note in notes_of_mode} & drawn
        low, high = clopper_pearson(len(failing), len(drawn)) if drawn else (0.0, 1.0)
        rate = len(failing) / len(drawn) if drawn else None
        out.append(ModeCounts(name, notes_of_mode, rate, low, high, len(drawn)))
    return sorted(out, key=lambda mode: (-len(mode.notes), mode.name))


@dataclass(frozen=True)
class ReaderAgreement:
    """Krippendorff's α between readers: whether an answer fails, and which mode it has.

    ``shared`` counts the responses that two readers or more have read; None where α is undefined.
    """

    readers: tuple[str, ...]
    shared: int
    failing: float | None
    modes: float | None
    differing: tuple[str, ...] = field(default=())


def measure_readers(notes: Sequence[Note]) -> ReaderAgreement:
    """How far readers agree on the responses that several of them read."""
    readers = tuple(sorted({note.reader for note in notes}))
    units: dict[str, dict[str, Note]] = {}
    for note in notes:
        units.setdefault(note.response, {})[note.reader] = note
    shared = {key: row for key, row in units.items() if len(row) > 1}
    fails = {
        k: {r: "fails" if n.text else "fine" for r, n in row.items()} for k, row in shared.items()
    }
    modes = {
        key: {r: n.mode or "fine" for r, n in row.items() if n.mode or not n.text}
        for key, row in shared.items()
    }
    differing = tuple(key for key, row in fails.items() if len(set(row.values())) > 1)
    return ReaderAgreement(
        readers, len(shared), _find_alpha(fails, readers), _find_alpha(modes, readers), differing
    )


def _find_alpha(units: Mapping[str, Mapping[str, str]], readers: Sequence[str]) -> float | None:
    """Krippendorff's α of named values; missing ones are missing."""
    import krippendorff

    values = sorted({value for row in units.values() for value in row.values()})
    codes = {value: float(number) for number, value in enumerate(values)}
    table = np.array(
        [[codes[row[r]] if r in row else np.nan for row in units.values()] for r in readers]
    )
    rated = table[:, (~np.isnan(table)).sum(axis=0) >= 2] if table.size else table
    if rated.size == 0 or len(np.unique(rated[~np.isnan(rated)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=rated, level_of_measurement="nominal"))


def suggest_groups(
    notes: Sequence[Note], embedder: Embedder, *, most: int = 10, seed: int = 0
) -> list[tuple[str, tuple[Note, ...]]]:
    """Notes without a mode that may belong together, each group with its keywords.

    Nothing is decided by it: a person names the mode, and says which notes are in it.
    """
    open_notes = [note for note in notes if note.text and not note.mode]
    if len(open_notes) < 2:
        return []
    vectors = np.asarray(embedder.embed([note.text for note in open_notes]))
    distinct = len(np.unique(vectors, axis=0))
    count = min(most, distinct, max(1, len(open_notes) // 3))
    labels = cluster_vectors(vectors, count, seed=seed).tolist()
    names = name_clusters([split_words(note.text) for note in open_notes], labels)
    groups = [
        (
            names[label],
            tuple(
                n
                for n, label_of_note in zip(open_notes, labels, strict=True)
                if label_of_note == label
            ),
        )
        for label in sorted(set(labels))
    ]
    return sorted((g for g in groups if len(g[1]) > 1), key=lambda group: -len(group[1]))
