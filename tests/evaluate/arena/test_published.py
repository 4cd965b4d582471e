"""The arena against published results (public data; skipped where they are absent)."""

from __future__ import annotations

import evalica
import numpy as np
import pytest

from realdata import (
    ALPACA,
    PANDALM,
    VICUNA,
    WHY,
    alpaca_models,
    alpaca_published,
    alpaca_votes,
    pandalm_rows,
    vicuna_votes,
)
from residency.evaluate.arena.bradley_terry import ELO
from residency.evaluate.arena.leaderboard import make_leaderboard
from residency.evaluate.arena.votes import Vote, rater_agreement, select_counted_votes, win_rate
from residency.evaluate.judge.agreement import corrected_rate, measure_agreement


@pytest.mark.skipif(not ALPACA.exists(), reason=WHY)
def test_alpaca_eval_win_rates_are_the_published_ones() -> None:
    published = alpaca_published()
    models = alpaca_models()
    assert len(models) >= 6
    for model in models:
        votes, _ = alpaca_votes(model)
        found = win_rate(votes, model, "text_davinci_003")
        row = published[model]
        assert found is not None
        assert found.rate * 100 == pytest.approx(row["win_rate"], abs=1e-9)
        assert found.standard_error * 100 == pytest.approx(row["standard_error"], abs=1e-9)
        counts = (found.wins, found.losses, found.ties, found.n)
        assert counts == tuple(row[k] for k in ("n_wins", "n_wins_base", "n_draws", "n_total"))


@pytest.mark.skipif(not VICUNA.exists(), reason=WHY)
def test_real_judgements_rank_as_the_reference_implementation_ranks_them() -> None:
    votes, _ = vicuna_votes()
    used = select_counted_votes(votes)
    symbol = {"a": evalica.Winner.X, "b": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    theirs = evalica.bradley_terry(
        [v.a for v in used],
        [v.b for v in used],
        [symbol[v.outcome] for v in used],
        tolerance=1e-12,
        limit=10_000,
    ).scores
    reference = np.log(theirs) * ELO
    reference = dict(reference - reference.mean() + 1000)
    board = make_leaderboard(votes, draws=2, ridge=1e-9)
    assert {s.component for s in board.standings} == {0}  # a connected graph
    assert {s.model: s.score for s in board.standings} == pytest.approx(reference, abs=1e-4)
    assert [s.model for s in board.standings] == sorted(reference, key=lambda m: -reference[m])
    default = {s.model: s.score for s in make_leaderboard(votes, draws=2).standings}
    assert default == pytest.approx(reference, abs=1.0)  # what the default ridge costs


@pytest.mark.skipif(not PANDALM.exists(), reason=WHY)
def test_pandalm_labels_give_the_published_agreement() -> None:
    """Published: label counts 105/422/472, Cohen's κ between the raters 0.85, 0.88, 0.86."""
    rows = pandalm_rows()
    majority = [max(set(row["people"]), key=row["people"].count) for row in rows]
    assert [majority.count(label) for label in (0, 1, 2)] == [105, 422, 472]
    names = {0: "tie", 1: "a", 2: "b"}
    votes = [
        Vote(f"p{i}", "x", "y", names[label], f"rater {k}")  # type: ignore[arg-type]
        for i, row in enumerate(rows)
        for k, label in enumerate(row["people"])
    ]
    alpha = rater_agreement(votes)
    assert alpha is not None
    assert 0.85 <= alpha <= 0.88  # α of three raters lies between their pairwise κ


@pytest.mark.skipif(not PANDALM.exists(), reason=WHY)
@pytest.mark.parametrize("judge", ["gpt-3.5-turbo", "pandalm-7b"])
def test_the_corrected_rate_of_a_real_judge_covers_what_people_say(judge: str) -> None:
    """200 labelled items correct the judge's rate on the others, 300 times."""
    rows = pandalm_rows()
    people = {str(i): max(set(r["people"]), key=r["people"].count) == 2 for i, r in enumerate(rows)}
    judged = {str(i): None if r[judge] is None else r[judge] == 2 for i, r in enumerate(rows)}
    usable = np.array([i for i in people if judged[i] is not None])
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        order = rng.permutation(usable)
        labelled, rest = order[:200], order[200:]
        labels = measure_agreement(judged, {i: people[i] for i in labelled})
        found = corrected_rate(sum(bool(judged[i]) for i in rest), len(rest), labels)
        covered += found.low <= np.mean([people[i] for i in rest]) <= found.high
    assert covered / 300 >= 0.93
