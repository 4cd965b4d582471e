"""Test suites, scores, prompting baselines, arena and judge.

Nothing here generates: a generator is received as an argument, and stored responses are
graded again without it.
"""

from residency.evaluate.grade import grade
from residency.evaluate.prompting import (
    Retriever,
    SimilarShots,
    as_document,
    choose_shots,
    few_shot,
    prompting_name,
    retrieve,
    similar_shots,
    with_context,
    zero_shot,
)
from residency.evaluate.scores import Rate, Score, Scores, summarise
from residency.evaluate.suite import Suite, check_suite, load_suite

__all__ = [
    "Rate",
    "Retriever",
    "Score",
    "Scores",
    "SimilarShots",
    "Suite",
    "as_document",
    "check_suite",
    "choose_shots",
    "few_shot",
    "grade",
    "load_suite",
    "prompting_name",
    "retrieve",
    "similar_shots",
    "summarise",
    "with_context",
    "zero_shot",
]
