"""Reading responses by hand: which to read, and when reading more shows nothing new.

Open coding notes the *first* failure of each response in free words; axial coding groups the
notes into five to ten binary failure modes. The fixed detectors stand beside this, not in
its place. The sample is 65 % cluster representatives, so that rare kinds of prompt are seen,
and the rest at random, so that rates can still be estimated from that part.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from residency.diagnose.cluster_slices import cluster_vectors, find_medoids, name_clusters
from residency.interfaces import Embedder
from residency.nouns.example import Example, by_id
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import clopper_pearson
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


def reading_plan(
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
        place: ToRead(responses[place], "representative", names[label])
        for label, place in find_medoids(vectors, labels).items()
    }
    rng = random.Random(seed)
    rest = [i for i in range(len(responses)) if i not in chosen]
    for place in rng.sample(rest, min(count - len(chosen), len(rest))):
        chosen[place] = ToRead(responses[place], "random", names[labels[place]])
    order = sorted(chosen)
    rng.shuffle(order)
    return [chosen[place] for place in order]


@dataclass(frozen=True)
class Note:
    """What a reader wrote about one response: the first failure, or an empty text if it is fine.

    ``mode`` is the failure mode that axial coding gave it, empty until then.
    """

    response: str
    text: str
    mode: str = ""
    reader: str = ""


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


def reading_progress(notes: Sequence[Note]) -> Progress:
    """What to do next, from the notes in the order in which they were written."""
    failing = [note for note in notes if note.text]
    modes: list[str] = []
    quiet = 0
    for note in notes:
        if note.mode and note.mode not in modes:
            modes.append(note.mode)
            quiet = 0
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


def findings_of_notes(notes: Sequence[Note], modes: Mapping[str, float]) -> list[Finding]:
    """Notes as findings: for each response read and each mode one pass or fail.

    Args:
        modes: failure mode → severity in (0, 1]. Since only the first failure of a response is
            noted, its other modes are *unscored*, not passed.
    """
    out = []
    for note in notes:
        for mode, severity in modes.items():
            failed = note.mode == mode
            out.append(
                Finding(
                    response=note.response,
                    kind=mode,
                    status="fail" if failed else "unscored" if note.text else "pass",
                    detector="reading",
                    version="1",
                    severity=severity if failed else 0.0,
                    message=note.text if failed else "",
                )
            )
    return out
