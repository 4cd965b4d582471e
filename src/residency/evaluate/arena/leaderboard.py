"""The arena's table: Bradley–Terry scores on the Elo scale, intervals, ranks, contrasts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from residency.evaluate.arena.bradley_terry import (
    ELO,
    RIDGE,
    Fit,
    Fitter,
    Floats,
    Games,
    bootstrap_ratings,
    count_games,
    fit_ratings,
    sandwich_covariance,
)
from residency.evaluate.arena.davidson import fit_davidson
from residency.evaluate.arena.style import STYLE_FEATURES, style_covariates
from residency.evaluate.arena.votes import IDENTICAL, Vote, select_counted_votes

ANCHOR = 1000.0
K_FACTOR = 32.0
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Standing:
    """One model's line.

    Attributes:
        score: Elo points; the anchor model stands at 1000.
        low, high: 95 % bootstrap interval; robust_low, robust_high: the sandwich's.
        rank: 1 + number of models whose lower bound lies above this one's upper bound.
        elo: the online Elo rating (K = 32), which depends on the order of the votes.
        component: scores compare only within one number.
    """

    model: str
    score: float
    low: float
    high: float
    robust_low: float
    robust_high: float
    rank: int
    wins: int
    losses: int
    ties: int
    elo: float
    component: int


@dataclass(frozen=True)
class Contrast:
    """Difference of two models in Elo points, with its 95 % intervals and p(a beats b)."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    robust_low: float
    robust_high: float
    win_probability: float


@dataclass(frozen=True)
class Leaderboard:
    """Standings, best first, and what is needed for contrasts.

    ``style`` maps a feature to (coefficient, low, high) when the style was controlled: log odds
    per root mean square of the feature's difference. ``ties`` is the share of ties between equal
    models, ν/(2 + ν), when ties were given a separate parameter; ``ties_interval`` its 95 %.
    """

    standings: tuple[Standing, ...]
    votes: int
    prompts: int
    raters: int
    style: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    ties: float | None = None
    ties_interval: tuple[float, float] | None = None
    models: tuple[str, ...] = ()
    theta: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    draws: Floats = field(default_factory=lambda: np.zeros((0, 0)), repr=False, compare=False)

    def contrast(self, a: str, b: str) -> Contrast:
        """How far ``a`` stands above ``b``: V_aa + V_bb − 2·V_ab for the sandwich."""
        i, j = self.models.index(a), self.models.index(b)
        v = np.asarray(self.covariance)
        difference = (self.theta[i] - self.theta[j]) * ELO
        robust = Z95 * ELO * math.sqrt(max(v[i, i] + v[j, j] - 2 * v[i, j], 0.0))
        spread = (self.draws[:, i] - self.draws[:, j]) * ELO
        low, high = np.quantile(spread, [0.025, 0.975])
        return Contrast(
            a=a,
            b=b,
            difference=difference,
            low=float(low),
            high=float(high),
            robust_low=difference - robust,
            robust_high=difference + robust,
            win_probability=1 / (1 + math.exp(-difference / ELO)),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "standings": [dataclasses.asdict(s) for s in self.standings],
            "votes": self.votes,
            "prompts": self.prompts,
            "raters": self.raters,
            "style": {name: list(values) for name, values in self.style.items()},
            "ties": self.ties,
            "ties_interval": list(self.ties_interval) if self.ties_interval else None,
        }


def make_leaderboard(
    votes: Sequence[Vote],
    *,
    anchor: str | None = None,
    texts: Mapping[str, str] | None = None,
    davidson: bool = False,
    draws: int = 500,
    seed: int = 0,
    ridge: float = RIDGE,
) -> Leaderboard:
    """Scores of every model that votes speak of.

    Args:
        anchor: the model that stands at 1000 (None: the mean of all).
        texts: response id → text; when given, the style is controlled, and votes without
            both texts are left out.
        davidson: a parameter for ties (Davidson 1970) instead of half a win for each side.
        draws, seed: of the bootstrap over prompts and raters.
    """
    used = select_counted_votes(votes)
    covariates = None
    if texts is not None:
        used = [v for v in used if v.response_a in texts and v.response_b in texts]
        covariates = style_covariates(
            [texts[v.response_a] for v in used], [texts[v.response_b] for v in used]
        )
    data = _collect_games(used, covariates)
    if not used:
        return Leaderboard((), 0, 0, 0)
    fitter: Fitter = fit_davidson if davidson else fit_ratings
    fitted = fitter(data, ridge=ridge)
    theta_draws, beta_draws, tie_draws = bootstrap_ratings(
        data, draws=draws, seed=seed, ridge=ridge, fitter=fitter
    )
    covariance = sandwich_covariance(data, fitted)
    shift = ANCHOR - (fitted.theta[data.models.index(anchor)] * ELO if anchor else 0.0)
    rows = _make_standings(data, fitted, theta_draws, covariance, shift, used)
    return Leaderboard(
        standings=tuple(sorted(rows, key=lambda row: (row.component, -row.score, row.model))),
        votes=len(used),
        prompts=len(set(data.prompts.tolist())),
        raters=len(set(data.raters.tolist())),
        style=_style_covariates(fitted.beta, beta_draws) if texts is not None else {},
        ties=None if fitted.log_tie is None else tie_share(fitted.log_tie),
        ties_interval=None if fitted.log_tie is None else _ties_interval(tie_draws),
        models=data.models,
        theta=tuple(fitted.theta.tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        draws=theta_draws,
    )


def _make_standings(
    data: Games,
    fitted: Fit,
    draws: Floats,
    covariance: Floats,
    shift: float,
    used: Sequence[Vote],
) -> list[Standing]:
    """Each model's line; ``draws`` (bootstrap draws × models) are in log odds, ``shift`` in Elo."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0) * ELO + shift
    score = fitted.theta * ELO + shift
    robust = Z95 * ELO * np.sqrt(np.maximum(np.diag(covariance)[: len(score)], 0))
    tally, elo = _tally_votes(used), online_elo(used)
    components = data.components
    return [
        Standing(
            model=name,
            score=float(score[i]),
            low=float(low[i]),
            high=float(high[i]),
            robust_low=float(score[i] - robust[i]),
            robust_high=float(score[i] + robust[i]),
            rank=1 + int((low[components == components[i]] > high[i]).sum()),
            wins=tally[name][0],
            losses=tally[name][1],
            ties=tally[name][2],
            elo=elo[name],
            component=int(components[i]),
        )
        for i, name in enumerate(data.models)
    ]


def online_elo(votes: Sequence[Vote], *, k: float = K_FACTOR) -> dict[str, float]:
    """Elo ratings updated vote by vote from 1000 (Elo 1978). The order of votes changes them."""
    rating: dict[str, float] = {}
    for vote in select_counted_votes(votes):
        a, b = rating.setdefault(vote.a, ANCHOR), rating.setdefault(vote.b, ANCHOR)
        expected = 1 / (1 + 10 ** ((b - a) / 400))
        rating[vote.a] = a + k * (vote.score - expected)
        rating[vote.b] = b - k * (vote.score - expected)
    return rating


def informative_pairs(
    votes: Sequence[Vote],
    models: Sequence[str],
    *,
    focus: str | None = None,
    ridge: float = RIDGE,
) -> list[tuple[str, str, float]]:
    """Pairs of models, most informative next comparison first.

    The gain is log(1 + p(1 − p)·Var(θ_a − θ_b)): how much one more comparison shrinks the
    joint uncertainty (D-optimality). A model that has not played is very uncertain and goes
    first; after that, near equals. ``focus`` keeps only the pairs of one model.
    """
    data = _collect_games(select_counted_votes(votes), None, models)
    fitted = fit_ratings(data, ridge=ridge)
    variance = np.linalg.inv(fitted.hessian)
    index_of = {name: i for i, name in enumerate(data.models)}
    out = []
    for i, a in enumerate(models):
        for b in models[i + 1 :]:
            if focus is not None and focus not in (a, b):
                continue
            x, y = index_of[a], index_of[b]
            p = 1 / (1 + math.exp(-(fitted.theta[x] - fitted.theta[y])))
            spread = variance[x, x] + variance[y, y] - 2 * variance[x, y]
            out.append((a, b, math.log1p(p * (1 - p) * float(spread))))
    return sorted(out, key=lambda row: (-row[2], row[0], row[1]))


def _collect_games(
    used: Sequence[Vote], covariates: Floats | None, models: Sequence[str] = ()
) -> Games:
    # Anybody would call equal texts a tie: such votes are no rater's, and make no second rater.
    judging = [v.rater for v in used if v.rater != IDENTICAL]
    usual = max(set(judging), key=lambda r: (judging.count(r), r)) if judging else IDENTICAL
    return count_games(
        [v.a for v in used],
        [v.b for v in used],
        [v.score for v in used],
        prompts=[v.prompt for v in used],
        raters=[usual if v.rater == IDENTICAL else v.rater for v in used],
        covariates=covariates,
        models=models,
    )


def _tally_votes(votes: Sequence[Vote]) -> dict[str, list[int]]:
    """Wins, losses and ties of each model."""
    tally: dict[str, list[int]] = {}
    for vote in votes:
        a, b = tally.setdefault(vote.a, [0, 0, 0]), tally.setdefault(vote.b, [0, 0, 0])
        if vote.outcome == "tie":
            a[2] += 1
            b[2] += 1
        else:
            winner, loser = (a, b) if vote.outcome == "a" else (b, a)
            winner[0] += 1
            loser[1] += 1
    return tally


def tie_share(log_tie: float) -> float:
    """Share of ties between equal models, ν/(2 + ν)."""
    return 1 / (1 + 2 * math.exp(-log_tie))


def _ties_interval(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return tie_share(float(low)), tie_share(float(high))


def _style_covariates(beta: Floats, draws: Floats) -> dict[str, tuple[float, float, float]]:
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return {
        name: (float(beta[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(STYLE_FEATURES)
    }
