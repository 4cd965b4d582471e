"""The figures by which models are compared: the primary metric, or the checks where it is missing."""

from __future__ import annotations

from collections.abc import Sequence

from residency.results.score_figures import PrimaryFigures, ScoreFigures, ScoresFigures

LeadingFigures = PrimaryFigures | ScoreFigures


def choose_leading_figures(scores: Sequence[ScoresFigures]) -> list[LeadingFigures]:
    """Each model's primary metric; the checks passed for all of them where one has none.

    Results that were stored before there was a primary metric have none.
    """
    primary = [model.primary for model in scores if model.primary is not None]
    if len(primary) == len(scores):
        return [*primary]
    return [model.score for model in scores]
