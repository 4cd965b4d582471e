"""Bradley–Terry by maximum likelihood, with a small ridge, ties and covariates.

p(a beats b) = σ(θ_a − θ_b + β·x), a tie is half a win for each (Bradley, Terry 1952). The
ridge keeps a model that won or lost every comparison finite; it also fixes the mean of θ
at 0. Shapes: N comparisons, M models, K covariates, P = M + K parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from residency.stats.intervals import group_index

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.intp]]

ELO = 400 / math.log(10)
"""Elo points in one natural unit of log odds (about 173.7)."""
RIDGE = 0.01
"""½·RIDGE·θ² is added to the negative log-likelihood: a prior s.d. of 10 units, 1737 Elo points."""


@dataclass(frozen=True)
class Games:
    """Comparisons as arrays, all of length N.

    Attributes:
        models: names; a, b: places in it.
        score: 1 (a won), 0, or ½.
        prompts, raters: group numbers, for the intervals.
        covariates: (N, K), odd under a swap of the sides.
    """

    models: tuple[str, ...]
    a: Ints
    b: Ints
    score: Floats
    prompts: Ints
    raters: Ints
    covariates: Floats

    def __len__(self) -> int:
        return len(self.a)

    @property
    def components(self) -> Ints:
        """Number of each model's connected component: scores compare only within one."""
        m = len(self.models)
        graph = coo_matrix((np.ones(len(self)), (self.a, self.b)), shape=(m, m))
        return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def count_games(
    a: Sequence[str],
    b: Sequence[str],
    score: Sequence[float],
    *,
    prompts: Sequence[Hashable] | None = None,
    raters: Sequence[Hashable] | None = None,
    covariates: Floats | None = None,
    models: Sequence[str] = (),
) -> Games:
    """Comparisons by model name; ``models`` may add names that have not played yet."""
    names = list(dict.fromkeys([*models, *a, *b]))
    index_of = {name: i for i, name in enumerate(names)}
    n = len(a)
    return Games(
        models=tuple(names),
        a=np.asarray([index_of[x] for x in a], np.intp),
        b=np.asarray([index_of[x] for x in b], np.intp),
        score=np.asarray(score, np.float64),
        prompts=group_index(range(n) if prompts is None else prompts) if n else _no_ints(),
        raters=group_index(["one"] * n if raters is None else raters) if n else _no_ints(),
        covariates=np.zeros((n, 0)) if covariates is None else np.asarray(covariates, np.float64),
    )


@dataclass(frozen=True)
class Fit:
    """Maximum-likelihood estimate.

    Attributes:
        theta: (M,) log odds, mean 0. beta: (K,) covariate coefficients.
        hessian: (P, P) of the penalised negative log-likelihood at the estimate.
        log_tie: log ν of Davidson's model, whose Hessian has a last row for it; None where a
            tie is half a win.
    """

    theta: Floats
    beta: Floats
    hessian: Floats
    log_tie: float | None = None


Fitter = Callable[..., Fit]
"""``fit`` or ``davidson.fit_davidson``: (games, weights=, ridge=) → Fit."""


def fit_ratings(data: Games, *, weights: Floats | None = None, ridge: float = RIDGE) -> Fit:
    """Newton's method on the penalised likelihood; it is convex, so there is one optimum.

    Without covariates the games are first summed into an M×M table of wins, so the cost does
    not grow with N.
    """
    m, k = len(data.models), data.covariates.shape[1]
    w: Floats = np.ones(len(data)) if weights is None else weights
    if k == 0:
        cell = np.concatenate([data.a * m + data.b, data.b * m + data.a])
        share = np.concatenate([w * data.score, w * (1 - data.score)])
        wins = np.asarray(np.bincount(cell, share, m * m), np.float64)
        cells = np.flatnonzero(wins)
        x = np.zeros((len(cells), m))
        x[np.arange(len(cells)), cells // m] = 1
        x[np.arange(len(cells)), cells % m] -= 1
        y, w = np.ones(len(cells)), wins[cells]
    else:
        x, y = design_matrix(data), data.score
    z = np.zeros(m + k)
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ z))
        gradient = x.T @ (w * (p - y)) + ridge * z
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + ridge * np.eye(m + k)
        step = np.linalg.solve(hessian, gradient)
        # A full Newton step can overshoot far from the optimum; 8 units is beyond any real gap.
        step *= min(1.0, 8 / max(float(np.abs(step).max(initial=0.0)), 1e-300))
        z = z - step
        if float(np.abs(step).max(initial=0.0)) < 1e-12:
            break
    p = 1 / (1 + np.exp(-x @ z))
    hessian = (x * (w * p * (1 - p))[:, None]).T @ x + ridge * np.eye(m + k)
    return Fit(theta=z[:m] - z[:m].mean(), beta=z[m:], hessian=hessian)


def design_matrix(data: Games) -> Floats:
    """(N, P): +1 for a, −1 for b, then the covariates."""
    n, m = len(data), len(data.models)
    x = np.zeros((n, m + data.covariates.shape[1]))
    x[np.arange(n), data.a] += 1
    x[np.arange(n), data.b] -= 1
    x[:, m:] = data.covariates
    return x


def vote_outcomes(d: Floats, log_tie: float) -> tuple[Floats, Floats]:
    """p(a beats b) and p(tie) of Davidson's model at each difference ``d``."""
    powers = np.stack([d / 2, -d / 2, np.full_like(d, log_tie)])
    powers = np.exp(powers - powers.max(0))
    a, _, tie = powers / powers.sum(0)
    return a, tie


def sandwich_covariance(data: Games, fitted: Fit) -> Floats:
    """(P, P) robust covariance V = H⁻¹ G H⁻¹, with scores summed over prompts, and raters.

    With several raters the two clusterings are combined as prompts + raters − both (Cameron,
    Gelbach, Miller 2011). Each carries the factor g/(g − 1) for g clusters. θ is taken as
    deviations from the mean model, whose variance is thereby left out.
    """
    x = design_matrix(data)
    z = np.concatenate([fitted.theta, fitted.beta])
    if fitted.log_tie is None:
        residual = (data.score - 1 / (1 + np.exp(-x @ z)))[:, None] * x
    else:
        wins, ties = vote_outcomes(x @ z, fitted.log_tie)
        residual = (data.score - wins - ties / 2)[:, None] * x
        residual = np.column_stack([residual, (data.score == 0.5) - ties])
        z = np.append(z, fitted.log_tie)
    meat = _cluster_scores(residual, data.prompts)
    raters = int(data.raters.max(initial=-1)) + 1
    if raters > 1:
        both = group_index(list(zip(data.prompts.tolist(), data.raters.tolist(), strict=True)))
        meat = meat + _cluster_scores(residual, data.raters) - _cluster_scores(residual, both)
    inverse = np.linalg.inv(fitted.hessian)
    m = len(data.models)
    centre = np.eye(len(z))
    centre[:m, :m] -= 1 / m
    return np.asarray(centre @ inverse @ meat @ inverse @ centre.T)


def bootstrap_ratings(
    data: Games,
    *,
    draws: int = 500,
    seed: int = 0,
    ridge: float = RIDGE,
    fitter: Fitter = fit_ratings,
) -> tuple[Floats, Floats, Floats]:
    """(draws, M) of θ, (draws, K) of β, (draws,) of log ν under resampling of prompts and raters.

    log ν is nan for a fit without a parameter for ties.

    The Bayesian bootstrap (Rubin 1981): each prompt, and with several raters each rater, gets
    a weight from Exp(1), and a vote their product (Owen, Eckles 2012, who show it to be
    conservative). No draw loses a model or splits the graph.
    """
    rng = np.random.default_rng(seed)
    prompts = int(data.prompts.max(initial=-1)) + 1
    raters = int(data.raters.max(initial=-1)) + 1
    thetas, betas, log_ties = [], [], []
    for _ in range(draws):
        weights = rng.exponential(size=prompts)[data.prompts]
        if raters > 1:
            weights = weights * rng.exponential(size=raters)[data.raters]
        one = fitter(data, weights=weights, ridge=ridge)
        thetas.append(one.theta)
        betas.append(one.beta)
        log_ties.append(np.nan if one.log_tie is None else one.log_tie)
    k = data.covariates.shape[1]
    theta, beta = np.reshape(thetas, (draws, len(data.models))), np.reshape(betas, (draws, k))
    return theta, beta, np.asarray(log_ties, np.float64)


def _cluster_scores(residual: Floats, groups: Ints) -> Floats:
    count = int(groups.max(initial=-1)) + 1
    sums = np.zeros((count, residual.shape[1]))
    np.add.at(sums, groups, residual)
    return sums.T @ sums * (count / max(count - 1, 1))


def _no_ints() -> Ints:
    return np.zeros(0, np.intp)
