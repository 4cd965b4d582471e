"""Figures of one model on one split: how often each kind failed, the score, the primary metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from residency.results.stored_figures import read_figures

THIN_COVERAGE = 0.5
"""Below this share of scored answers a figure is drawn hatched or hollow."""


@dataclass(frozen=True)
class RateFigures:
    """How often a kind failed: failed / scored with its 95 % interval; coverage is scored / total."""

    rate: float | None
    low: float
    high: float
    failed: int
    scored: int
    total: int
    coverage: float

    @property
    def is_thin(self) -> bool:
        """Whether so little could be scored that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class ScoreFigures:
    """Mean share of checks passed with its 95 % interval; ``floor`` counts unscored as failed."""

    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    checks: int
    scored_checks: int
    coverage: float
    title: ClassVar[str] = "checks passed"

    @property
    def is_thin(self) -> bool:
        """Whether so little could be scored that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class PrimaryFigures:
    """The primary metric (``title`` in words) over the items that could be judged; ``floor`` counts
    the others as failed."""

    name: str
    title: str
    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    coverage: float

    @property
    def is_thin(self) -> bool:
        """Whether so little could be judged that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class ClosedSetFigures:
    """Answers from a closed set: accuracy, macro-F1, and the accuracy of the most frequent class."""

    accuracy: float
    macro_f1: float
    majority: str
    majority_share: float
    items: int
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceFigures:
    """Score and rates over the items with one tag."""

    score: ScoreFigures
    kinds: dict[str, RateFigures]


@dataclass(frozen=True)
class ScoresFigures:
    """A model's figures on a split. ``by_item``: each answer's score by response id.

    ``primary`` is what models are compared by (None: written before there was one).
    """

    score: ScoreFigures
    kinds: dict[str, RateFigures]
    slices: dict[str, SliceFigures]
    by_item: dict[str, float | None]
    level: float = 0.95
    primary: PrimaryFigures | None = None
    closed_set: ClosedSetFigures | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ScoresFigures:
        """From a stored body."""
        primary, closed_set = body.get("primary"), body.get("closed_set")
        return cls(
            score=read_figures(ScoreFigures, body["score"]),
            kinds=_read_rates(body["kinds"]),
            slices={
                tag: SliceFigures(
                    read_figures(ScoreFigures, slice_body["score"]),
                    _read_rates(slice_body["kinds"]),
                )
                for tag, slice_body in body.get("slices", {}).items()
            },
            by_item=dict(body.get("by_item", {})),
            level=body.get("level", 0.95),
            primary=read_figures(PrimaryFigures, primary) if primary else None,
            closed_set=read_figures(ClosedSetFigures, closed_set) if closed_set else None,
        )


def _read_rates(body: Mapping[str, Any]) -> dict[str, RateFigures]:
    return {kind: read_figures(RateFigures, rate) for kind, rate in body.items()}
