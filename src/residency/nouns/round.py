"""One iteration of train, evaluate, error analysis and targeted data."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.short_view import ShortView


@dataclass(frozen=True, repr=False)
class Round(ShortView):
    """One iteration: what was trained on, which model came out, and how long it took.

    ``general_rows``: how many of ``trained_rows`` are general ones (``data.replay``).
    """

    index: int
    arm: str
    dataset: str | None
    model: str
    trained_rows: int
    seconds: float
    general_rows: int = 0
