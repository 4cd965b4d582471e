"""Bradley–Terry with a parameter for ties (Davidson 1970).

p(a beats b) : p(tie) : p(b beats a) = e^(d/2) : ν : e^(−d/2), with d = θ_a − θ_b + β·x. Of the
comparisons that end with a winner, a wins the share σ(d): the scale is that of Bradley–Terry.
Where ties are frequent this says how frequent, instead of counting each as half a win.
"""

from __future__ import annotations

import numpy as np

from residency.evaluate.arena.bradley_terry import (
    RIDGE,
    Fit,
    Floats,
    Games,
    design_matrix,
    vote_outcomes,
)


def fit_davidson(data: Games, *, weights: Floats | None = None, ridge: float = RIDGE) -> Fit:
    """Newton's method on the penalised likelihood of (θ, β, log ν), which is convex.

    The ridge holds log ν too: without a single tie it stays finite.
    """
    rows, w = _distinct_pairs(data, np.ones(len(data)) if weights is None else weights)
    x = np.column_stack([design_matrix(rows), np.zeros(len(rows))])
    tie = (rows.score == 0.5).astype(np.float64)
    z = np.zeros(x.shape[1])
    for _ in range(100):
        gradient, hessian = _tie_slope(x, tie, rows.score, w, z)
        step = np.linalg.solve(hessian + ridge * np.eye(len(z)), gradient + ridge * z)
        # As in bradley_terry.fit: a full step can overshoot far from the optimum.
        step *= min(1.0, 8 / max(float(np.abs(step).max(initial=0.0)), 1e-300))
        z = z - step
        if float(np.abs(step).max(initial=0.0)) < 1e-12:
            break
    m = len(data.models)
    _, hessian = _tie_slope(x, tie, rows.score, w, z)
    return Fit(
        theta=z[:m] - z[:m].mean(),
        beta=z[m:-1],
        hessian=hessian + ridge * np.eye(len(z)),
        log_tie=float(z[-1]),
    )


def _tie_slope(
    x: Floats, tie: Floats, score: Floats, w: Floats, z: Floats
) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the negative log-likelihood; the last column of x is log ν's."""
    a, ties = vote_outcomes(x @ z, float(z[-1]))
    half = a + ties / 2 - 0.5  # (p(a) − p(b)) / 2
    gradient = x.T @ (w * (half + 0.5 - score))
    gradient[-1] = (w * (ties - tie)).sum()
    hessian = (x * (w * ((1 - ties) / 4 - half**2))[:, None]).T @ x
    hessian[-1] = hessian[:, -1] = -(x * (w * half * ties)[:, None]).sum(0)
    hessian[-1, -1] = (w * ties * (1 - ties)).sum()
    return gradient, hessian


def _distinct_pairs(data: Games, weights: Floats) -> tuple[Games, Floats]:
    """Without covariates equal rows are one row with the sum of their weights."""
    if data.covariates.shape[1]:
        return data, weights
    cells = np.stack([data.a, data.b, (2 * data.score).astype(np.intp)], 1)
    kinds, where = np.unique(cells, axis=0, return_inverse=True)
    nothing = np.zeros(len(kinds), np.intp)
    rows = Games(
        data.models,
        kinds[:, 0],
        kinds[:, 1],
        kinds[:, 2] / 2,
        nothing,
        nothing,
        np.zeros((len(kinds), 0)),
    )
    return rows, np.asarray(np.bincount(where.reshape(-1), weights, len(kinds)), np.float64)
