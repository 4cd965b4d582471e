"""A sweep's result, as a value: curves, sizes, a recommendation, and the plan that it followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from residency.nouns.short_view import ShortView
from residency.sweep.learning_curve import LearningCurve
from residency.sweep.plan import SweepPlan
from residency.sweep.size_table import SizeRow


@dataclass(frozen=True)
class NamedCurve:
    """A curve of one variant: of an issue (its failure rate), or of the primary metric.

    ``issue`` is empty for the primary metric, whose curve is of what is missing to 100 %.
    ``words``: what it says, in sentences; ``needed``: about how many rows, in a few words.
    """

    variant: str
    issue: str
    title: str
    tolerance: float | None
    curve: LearningCurve
    words: tuple[str, ...]
    needed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "variant": self.variant,
            "issue": self.issue,
            "title": self.title,
            "tolerance": self.tolerance,
            "words": list(self.words),
            "needed": self.needed,
            "doubled": self._predict_doubled(),
            **self.curve.to_dict(),
        }

    def _predict_doubled(self) -> dict[str, Any]:
        """The rate with twice the rows; ``sure`` where the change is more than its interval allows for."""
        rows = 2 * self.curve.largest
        change = self.curve.change(rows)
        return vars(self.curve.at(rows)) | {"sure": not change.low <= 0 <= change.high}


def find_lead_variant(body: Mapping[str, Any]) -> str:
    """The variant whose curves come first: the recommended one, or else the one that scores highest.

    ``body``: a result as ``SweepResult.to_dict`` gives it. Empty where there is no curve.
    """
    variants = dict.fromkeys(curve["variant"] for curve in body["curves"])
    if body["best"] in variants:
        return str(body["best"])
    scores = {row["name"]: row["score"]["mean"] or 0.0 for row in body["sizes"]}
    return max(variants, key=lambda name: scores.get(name, 0.0), default="")


@dataclass(frozen=True, repr=False)
class SweepResult(ShortView):
    """A finished sweep.

    Attributes:
        run: the project's run that it speaks of. metric: title of the primary metric.
        curves: of the primary metric first, then of each issue, variant by variant.
        sizes: every variant at its most rows, and the bare bases. best: the one to take.
        advice: which and why. notes: what was left out. seconds: of this call.
        issue_titles: by id.
    """

    run: str
    metric: str
    plan: SweepPlan
    curves: tuple[NamedCurve, ...]
    sizes: tuple[SizeRow, ...]
    best: str
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    measuring_items: int
    issue_titles: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what the store keeps, ``--json`` prints and the report draws."""
        return {
            "run": self.run,
            "metric": self.metric,
            "plan": self.plan.to_dict(),
            "curves": [curve.to_dict() for curve in self.curves],
            "sizes": [row.to_dict() for row in self.sizes],
            "best": self.best,
            "advice": list(self.advice),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "measuring_items": self.measuring_items,
            "issue_titles": dict(self.issue_titles),
        }
