"""What an export did to an issue."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.short_view import ShortView


@dataclass(frozen=True, repr=False)
class IssueChange(ShortView):
    """An issue in the model's answers and in the exported file's, on the same dev items.

    Attributes:
        issue: its id. n: items scored in both. before, after: failure rates on them.
        rise: after minus before. low, high: its 95 % interval.
    """

    issue: str
    title: str
    n: int
    before: float
    after: float
    rise: float
    low: float
    high: float
