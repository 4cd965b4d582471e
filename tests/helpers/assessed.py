"""Answers and findings made by hand, as the loop holds a model's."""

from __future__ import annotations

from collections.abc import Sequence

from residency.evaluate.suites.scores import summarise_scores
from residency.loop.assess import Assessment
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.stats.sample_reducer import Reduce


def assess(
    examples: Sequence[Example],
    responses: Sequence[Response],
    findings: Sequence[Finding],
    reduce: Reduce = "majority",
) -> Assessment:
    """A model's answers with what was found in them."""
    scores = summarise_scores(findings, examples, responses, reduce=reduce)
    return Assessment(
        Model("base"), list(examples), list(responses), list(findings), scores, reduce
    )
