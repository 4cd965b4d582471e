"""Test suites, scores, prompting baselines, arena and judge.

Nothing here generates: a generator is received as an argument, and stored responses are
graded again without it.
"""

from residency.evaluate.agreement import Agreement, CorrectedRate, agreement, corrected_rate
from residency.evaluate.baselines import BaselineReport, Contender, Price, compare_ways
from residency.evaluate.embedders import named_embedder
from residency.evaluate.grade import grade
from residency.evaluate.judge import FileCache, Judge, JudgeReport, Rubric, verdicts
from residency.evaluate.leaderboard import Leaderboard, informative_pairs, leaderboard
from residency.evaluate.prompting import (
    Retriever,
    SimilarShots,
    as_document,
    choose_shots,
    few_shot,
    passages,
    prompting_name,
    retrieve,
    similar_shots,
    with_context,
    zero_shot,
)
from residency.evaluate.review import Review, Showing, pair_up
from residency.evaluate.scores import Rate, Score, Scores, summarise
from residency.evaluate.suite import Suite, check_suite, load_suite
from residency.evaluate.votes import (
    Vote,
    WinRate,
    preference_pairs,
    preference_row,
    rater_agreement,
    self_consistency,
    votes_by_scores,
    win_rate,
)

__all__ = [
    "Agreement",
    "BaselineReport",
    "Contender",
    "CorrectedRate",
    "FileCache",
    "Judge",
    "JudgeReport",
    "Leaderboard",
    "Price",
    "Rate",
    "Retriever",
    "Review",
    "Rubric",
    "Score",
    "Scores",
    "Showing",
    "SimilarShots",
    "Suite",
    "Vote",
    "WinRate",
    "agreement",
    "as_document",
    "check_suite",
    "choose_shots",
    "compare_ways",
    "corrected_rate",
    "few_shot",
    "grade",
    "informative_pairs",
    "leaderboard",
    "load_suite",
    "named_embedder",
    "pair_up",
    "passages",
    "preference_pairs",
    "preference_row",
    "prompting_name",
    "rater_agreement",
    "retrieve",
    "self_consistency",
    "similar_shots",
    "summarise",
    "verdicts",
    "votes_by_scores",
    "win_rate",
    "with_context",
    "zero_shot",
]
