"""What this run may claim falsely, and why it is less than the project's first run."""

from __future__ import annotations

from dataclasses import dataclass

from residency.results.number_formats import format_percent


@dataclass(frozen=True)
class AlphaShare:
    """The run's share of ``whole`` (``diagnose.alpha``), as the ``number``-th on the same rows."""

    number: int
    alpha: float
    whole: float
    spent: float = 0.0

    @property
    def sentence(self) -> str:
        """Nothing for a first run that has the whole of it."""
        if self.number <= 1 and self.alpha == self.whole:
            return ""
        return (
            f"This is run {self.number} on the same dev or test rows: each run more is one more "
            f"chance to claim something false, so it may spend {format_percent(self.alpha)} of the "
            f"{format_percent(self.whole, 0)} that one run alone would have; all runs so far "
            f"{format_percent(self.spent)}. Rows that no run has used open a budget of their own."
        )
