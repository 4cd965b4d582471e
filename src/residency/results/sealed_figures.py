"""Figures of the sealed test: the final model against the best prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from residency.results.change_figures import KindChange, PrimaryChange, ScoreChange
from residency.results.score_figures import ScoresFigures
from residency.results.stored_figures import read_figures


@dataclass(frozen=True)
class SealedSide:
    """One model on the sealed test, and how each kind changed from it to the final model."""

    label: str
    scores: ScoresFigures
    against_final: dict[str, KindChange]


@dataclass(frozen=True)
class SealedTest:
    """The sealed test: the final model against the best prompt (``reference``), sides by model id."""

    final: str
    reference: str
    score_change: ScoreChange | None
    sides: dict[str, SealedSide]
    primary_change: PrimaryChange | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> SealedTest:
        """From a stored body."""
        change, primary = body.get("score_change"), body.get("primary_change")
        return cls(
            final=body["final"],
            reference=body["reference"],
            score_change=read_figures(ScoreChange, change) if change else None,
            sides={
                model: SealedSide(
                    side["label"],
                    ScoresFigures.read(side["scores"]),
                    {
                        kind: read_figures(KindChange, row)
                        for kind, row in side["against_final"].items()
                    },
                )
                for model, side in body["sides"].items()
            },
            primary_change=read_figures(PrimaryChange, primary) if primary else None,
        )

    @property
    def ready(self) -> bool:
        """Whether both sides of the comparison are there."""
        return self.reference in self.sides and self.final in self.sides
