"""The request to a selector, and what selectors share.

A selector chooses pool rows for the open issues of a round. Built-in ones have a file each beside
this one; a plugin (group ``selectors``) is a function of the same form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal
from residency.targeting.selectors.predicted_fall import PartResponse

Array = np.ndarray[Any, np.dtype[Any]]


class ModelSignals(Protocol):
    """What the models say of rows, computed when a selector asks."""

    def measure_losses(self, rows: Sequence[Example], *, trained: bool) -> Array:
        """Mean loss of each row's answer (nats a token), by the trained model or by its base."""
        ...

    def measure_gradients(self, rows: Sequence[Example]) -> Array:
        """Sketches of each row's gradient on the trained model, one a row; zeros where there is none."""
        ...


@dataclass(frozen=True)
class SelectionRequest:
    """What a selector may know. Nothing of it comes from the measuring half, or from test.

    Attributes:
        issues: open issues, the neediest first; each has failing examples.
        failing: issue id → its failing examples of the *finding* half.
        pool: rows that are free to be drawn.
        rows_per_issue: most rows an issue. max_rows: most rows over all issues.
        seed: any random choice follows from it and from row ids.
        signals: losses of rows by the current model and its base.
        trained: rows that the current model was trained on.
        slices: classes, field values, words and clusters; tags are known from the rows.
        responses: issue id → what earlier rounds did to it, where they gave it rows.
    """

    issues: Sequence[Issue]
    failing: Mapping[str, Sequence[Example]]
    pool: Sequence[Example]
    rows_per_issue: int
    max_rows: int
    seed: int
    embedder: Embedder
    signals: ModelSignals
    trained: Sequence[Example] = ()
    slices: Sequence[Slice] = ()
    responses: Mapping[str, PartResponse] = field(default_factory=dict)


Selector = Callable[[SelectionRequest], list[Proposal]]


def order_by_seed(seed: int, key: str) -> str:
    """A sorting key that shuffles rows by seed and row id, whatever order they come in."""
    return hashlib.sha256(f"{seed}\x1f{key}".encode()).hexdigest()


def share_budget(available: Sequence[int], *, most_each: int, most: int) -> list[int]:
    """Rows for each issue: equal shares of ``most``, what one cannot use going to the others.

    No issue gets more than ``most_each`` or than it has rows, and none with rows is left
    without any while there is budget for one each.
    """
    limits = [min(count, most_each) for count in available]
    shares = [0] * len(limits)
    left = most
    while left > 0:
        wanting = [n for n, limit in enumerate(limits) if shares[n] < limit]
        if not wanting:
            break
        step = max(1, left // len(wanting))
        for n in wanting:
            rows = min(step, limits[n] - shares[n], left)
            shares[n] += rows
            left -= rows
    return shares


CANDIDATES = 2000
"""Most pool rows that a model scores; more are sampled by the seed."""


def sample_candidates(request: SelectionRequest) -> list[Example]:
    """The pool's rows with an answer, at most ``CANDIDATES``, in an order that follows from the seed."""
    answered = [row for row in request.pool if row.reference]
    return sorted(answered, key=lambda row: order_by_seed(request.seed, row.id))[:CANDIDATES]


class DistinctRows:
    """Tells rows that repeat a chosen one: the same row, group or words of the prompt."""

    def __init__(self) -> None:
        self._chosen: set[str] = set()

    def add_if_new(self, row: Example) -> bool:
        """Choose a row, unless it repeats a chosen one; whether it was chosen."""
        keys = {f"id:{row.id}", f"prompt:{' '.join(row.prompt_text.lower().split())}"}
        if row.group:
            keys.add(f"group:{row.group}")
        if keys & self._chosen:
            return False
        self._chosen |= keys
        return True
