"""A model with its figures on dev and its training: a column of every table."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.model import Model
from residency.nouns.round import Round
from residency.results.run_figures import Training
from residency.results.score_figures import ScoreFigures, ScoresFigures


@dataclass(frozen=True)
class ModelResult:
    """One model of a run."""

    round: Round
    label: str
    scores: ScoresFigures
    model: Model
    training: Training | None

    @property
    def id(self) -> str:
        """The model's id."""
        return self.model.id

    @property
    def number(self) -> int:
        """The round that made it; 0 for a prompted base."""
        return self.round.index

    @property
    def arm(self) -> str:
        """``zero-shot``, ``few-shot``, ``main`` or ``control``."""
        return self.round.arm

    @property
    def name(self) -> str:
        """What commands call it: ``base``, ``few-shot``, ``round-N`` or ``round-N-control``."""
        if self.number == 0:
            return "base" if self.arm == "zero-shot" else self.arm
        return f"round-{self.number}" if self.arm == "main" else f"round-{self.number}-{self.arm}"

    @property
    def is_control(self) -> bool:
        """Whether it was trained on random rows, for comparison."""
        return self.round.arm == "control"

    @property
    def score(self) -> ScoreFigures:
        """Mean score with its interval and coverage."""
        return self.scores.score

    @property
    def short_label(self) -> str:
        """Its name where space is short: ``zero``, ``few``, ``r1``, ``r2c``."""
        if self.number == 0:
            return "zero" if self.arm == "zero-shot" else "few"
        return f"r{self.number}c" if self.is_control else f"r{self.number}"
