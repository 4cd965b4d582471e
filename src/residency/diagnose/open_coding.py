"""Reading responses by hand: which to read, and when reading more shows nothing new.

Open coding notes the *first* failure of each response in free words; axial coding groups the
notes into five to ten binary failure modes. The fixed detectors stand beside this and do
not replace it. 65 % of the sample are representatives of clusters, so that rare kinds of prompt are
seen; they are read first. The rest is drawn at random from all answers, so that rates, and what was
not seen yet, can be estimated from it.
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from residency.diagnose.cluster_slices import cluster_vectors, find_medoids, name_clusters
from residency.diagnose.notes import Note
from residency.interfaces import Embedder
from residency.nouns.example import Example, by_id
from residency.nouns.response import Response
from residency.stats.intervals import clopper_pearson
from residency.text.counts import write_count
from residency.text.percent import write_percent
from residency.text.words import split_words

REPRESENTATIVES = 0.65
AXIAL_AFTER = 40
QUIET = 20
ALPHA = 0.05
"""How often any sentence on what is unseen, of all that reading one model's answers shows, may be wrong."""
Chosen = Literal["representative", "random", "both"]


@dataclass(frozen=True)
class ToRead:
    """One response to read, why it was chosen, and its cluster's keywords.

    ``both``: a representative that was drawn at random too. It counts in rates.
    """

    response: Response
    chosen: Chosen
    cluster: str = ""


def choose_to_read(
    examples: Sequence[Example],
    responses: Sequence[Response],
    embedder: Embedder,
    *,
    count: int = 100,
    seed: int = 0,
) -> list[ToRead]:
    """Up to ``count`` responses in the order to read them: representatives, then what chance drew.

    Prompt and response are clustered together, since the same question can fail in several
    ways. Responses of the finding half only should be passed: what is read finds issues. The draw
    goes over all responses, also over representatives, until ``count`` are chosen.
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
    chosen: dict[int, Chosen] = dict.fromkeys(
        find_medoids(vectors, labels).values(), "representative"
    )
    rng = random.Random(seed)
    for position in rng.sample(range(len(responses)), len(responses)):
        if len(chosen) == count:
            break
        chosen[position] = "both" if position in chosen else "random"
    drawn = [position for position in chosen if chosen[position] == "random"]
    typical = sorted(chosen.keys() - set(drawn))
    rng.shuffle(typical)
    return [
        ToRead(responses[position], chosen[position], names[labels[position]])
        for position in (*typical, *drawn)
    ]


@dataclass(frozen=True)
class Progress:
    """How far reading is.

    ``quiet`` counts the responses drawn at random since the last new mode. ``next_step`` is ``read``,
    ``group`` (40 notes are there: form modes), or ``done`` (twenty are quiet). ``unseen_rate`` bounds
    the share of responses whose mode has not been seen yet, with 95 % confidence for all such bounds
    that are shown while reading, however often one looks.
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
            last = "answer" if self.quiet == 1 else write_count(self.quiet, "answer")
            sentence += (
                f" The last {last} drawn at random showed nothing new: at most "
                f"{write_percent(self.unseen_rate, 0)} of answers fail in a way not seen yet."
            )
        steps = {
            "read": "Read on.",
            "group": "Group the notes into five to ten modes.",
            "done": "More reading is unlikely to show anything new.",
        }
        return f"{sentence} {steps[self.next_step]}"


def measure_progress(notes: Sequence[Note], drawn: Container[str]) -> Progress:
    """What to do next, from the notes in the order in which they were written.

    A failing note without a mode may be a new one, so nothing is quiet until it is grouped. If a
    share u of responses has a mode that is not seen yet, k random draws in a row miss it with a
    chance of at most (1 − u)^k: so u is below 1 − α^(1/k), and that holds for every k of one such
    row of draws together. Rows begin anew with each new mode. The j-th one (j = 0, 1, …) gets
    α / ((j + 1)(j + 2)), which sums to α (a union bound), so nobody is misled by stopping at a good
    moment.

    Args:
        drawn: ids of the responses that were drawn at random from those that were no
            representatives; only they speak of all responses.
    """
    failing = [note for note in notes if note.text]
    modes: list[str] = []
    quiet = rows = 0
    for note in notes:
        if note.text and (not note.mode or note.mode not in modes):
            rows += quiet > 0
            quiet = 0
            if note.mode:
                modes.append(note.mode)
        elif note.response in drawn:
            quiet += 1
    ungrouped = any(not note.mode for note in failing)
    step: Literal["read", "group", "done"] = "read"
    if len(notes) >= AXIAL_AFTER and ungrouped:
        step = "group"
    elif len(notes) >= AXIAL_AFTER and quiet >= QUIET:
        step = "done"
    error_rate = ALPHA / ((rows + 1) * (rows + 2))
    unseen = 1 - error_rate ** (1 / quiet) if quiet else 1.0
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
