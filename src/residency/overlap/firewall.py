"""Rows that may be trained on, and those that come too near to dev or test.

The rule itself is in ``protected_rows``; the loader asks it of the user's rows, this file of rows
that are selected, collected or made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residency.nouns.example import Example
from residency.overlap.compared_rows import compare_examples
from residency.overlap.near_duplicates import Near, find_near
from residency.overlap.protected_rows import NEAR_DUPLICATE, Overlap, ProtectedRows


@dataclass(frozen=True)
class Rejection:
    """A row that may not be trained on: which example it comes near, by which rule, and how."""

    example: Example
    near: str
    rule: str
    reason: str


@dataclass(frozen=True)
class FirewallResult:
    """Rows that may be used, in order, and those that may not, with the reason."""

    accepted: tuple[Example, ...]
    rejected: tuple[Rejection, ...]


def screen_rows(
    rows: Sequence[Example],
    protected: Sequence[Example],
    *,
    background: Sequence[Example] = (),
    near_duplicate: float = NEAR_DUPLICATE,
) -> FirewallResult:
    """Hold ``rows`` (selected, collected or made) against ``protected`` (dev and test).

    Args:
        background: rows of the same task (train and pool), by which it is judged what many rows
            share. Without them ``rows`` themselves serve.
        near_duplicate: ``data.near_duplicate``, as the loader has it.
    """
    if not rows or not protected:
        return FirewallResult(tuple(rows), ())
    known = list(background) or list(rows)
    compared = compare_examples([*protected, *known, *rows])
    items = np.arange(len(protected))
    index = ProtectedRows(compared.take(items), near_duplicate=near_duplicate)
    index.count_rows(compared.take(np.arange(len(protected) + len(known))))
    first = len(protected) + len(known)
    overlaps = index.find_overlaps(compared.take(np.arange(first, first + len(rows))))
    hits = {hit.row: hit for hit in overlaps}
    return FirewallResult(
        accepted=tuple(row for n, row in enumerate(rows) if n not in hits),
        rejected=tuple(
            _describe_rejection(rows[n], protected[hit.item], hit) for n, hit in hits.items()
        ),
    )


def screen_repeats(
    rows: Sequence[Example],
    known: Sequence[Example],
    *,
    near_duplicate: float = NEAR_DUPLICATE,
) -> FirewallResult:
    """Rows without those whose prompt repeats a known row's or an earlier row's.

    A prompt repeats another when their runs of 5 words have a Jaccard index of ``near_duplicate``
    or more, even if the answers differ.
    """
    everything = [*known, *rows]
    compared = compare_examples(everything)
    near = find_near(compared.prompts, compared.answers, near_duplicate)
    seen: dict[str, int] = {}
    hits: dict[int, Near] = {}
    for n, example in enumerate(everything):
        first = seen.setdefault(example.id, n)
        if n >= len(known) and (n in near or first != n):
            hits[n] = near.get(n) or Near(first, 1.0, True)
    rejected = [
        Rejection(
            everything[n],
            everything[hit.row].id,
            "repeat",
            f"near-duplicate prompt (Jaccard {hit.score:.2f}) of "
            f"{everything[hit.row].source or everything[hit.row].id}",
        )
        for n, hit in hits.items()
    ]
    accepted = [row for n, row in enumerate(rows, len(known)) if n not in hits]
    return FirewallResult(tuple(accepted), tuple(rejected))


def _describe_rejection(row: Example, near: Example, hit: Overlap) -> Rejection:
    reason = f"{hit.describe()} ({near.split} {near.source or near.id})"
    return Rejection(row, near.id, hit.rule, reason)
