"""A status in one place: what it claims, its colour in a terminal, and its order.

Terminal, report and pages read this table. Pages colour a status by its CSS class, which is its
name with hyphens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class StatusWords:
    """``meaning`` in a sentence; ``colour`` by a name that terminals know, empty for plain."""

    meaning: str
    colour: str = ""


STATUSES: dict[str, StatusWords] = {
    "resolved": StatusWords(
        "The failure rate fell, and it is shown to be under the tolerance now: two claims, each "
        "with its bound.",
        "green",
    ),
    "improved": StatusWords(
        "The failure rate fell; that it is under the tolerance now is not shown.", "cyan"
    ),
    "persisting": StatusWords(
        "No significant fall, and the failure is certainly still there.", "yellow"
    ),
    "inconclusive": StatusWords("Too few items to show either a change or its absence.", "white"),
    "missing answers": StatusWords(
        "Answers are missing on one side: the change could be theirs.", "yellow"
    ),
    "regressed": StatusWords("The failure rate rose significantly.", "red"),
    "new": StatusWords("Found in this round; the earlier model did not show it.", "magenta"),
    "newly detected": StatusWords(
        "Found in this round; the earlier model shows it as well.", "magenta"
    ),
    "other model": StatusWords(
        "Found in a model that is not the final one, and not judged on the final one's dev answers; "
        "the sealed test tells of it."
    ),
    "open": StatusWords("Not judged yet."),
}
"""Statuses of an issue, the best first."""

SIGNIFICANT = ("resolved", "improved", "regressed")
"""Verdicts that hold with everything that was tested counted as one family."""


def status_meaning(status: str) -> str:
    """What a status claims; nothing for one that is not of an issue."""
    words = STATUSES.get(status)
    return words.meaning if words else ""


def status_colour(status: str) -> str:
    """A status's colour in a terminal."""
    words = STATUSES.get(status)
    return words.colour if words else ""


def count_statuses(statuses: Iterable[str]) -> dict[str, int]:
    """How many issues have each status, in the order of the table."""
    counts = Counter(statuses)
    order = [*STATUSES, *sorted(counts.keys() - STATUSES.keys())]
    return {status: counts[status] for status in order if counts[status]}
