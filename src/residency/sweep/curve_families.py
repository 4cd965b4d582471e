"""Families of learning curves, fitted to many resampled data sets at once.

An error rate e at n rows, u = n / (largest measured n):

- power law c + a·u^−b, and the same that ends at 0 (c = 0)
- exponential c + a·exp(−u/t)
- logarithmic c + a·ln u
- logistic in ln u: c + (1 − c) / (1 + (u/m)^s), for a skill that begins late; and with c = 0
- flat c

Given their shape numbers (b, t, m, s) all are straight lines in what is left, so a fit is a grid over
the shapes with least squares in closed form: no start value, no failure to converge.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

POWERS = tuple(np.geomspace(0.05, 2.0, 24))
DECAYS = tuple(np.geomspace(0.06, 4.0, 24))
MIDDLES = tuple(np.geomspace(0.02, 16.0, 28))
SLOPES = (0.4, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5)


@dataclass(frozen=True)
class Family:
    """One kind of curve: ``basis(u, shape)`` is what ``a`` multiplies; ``free`` numbers are fitted.

    ``offset``: whether c is fitted. ``late``: the logistic's form, where c and a are bound.
    """

    name: str
    free: int
    shapes: tuple[tuple[float, ...], ...]
    offset: bool = True
    late: bool = False

    def basis(self, u: Floats, shape: tuple[float, ...]) -> Floats:
        """The curve's form at these sizes."""
        if self.name.startswith("power"):
            return np.asarray(u ** -shape[0])
        if self.name == "exponential":
            return np.asarray(np.exp(-u / shape[0]))
        if self.name == "logarithmic":
            return np.asarray(np.log(u))
        if self.late:
            return np.asarray(1 / (1 + (u / shape[0]) ** shape[1]))
        return np.zeros_like(u)


_ONE = ((),)
FAMILIES = (
    Family("flat", 1, _ONE),
    Family("logarithmic", 2, _ONE),
    Family("power to zero", 2, tuple((b,) for b in POWERS), offset=False),
    Family("power", 3, tuple((b,) for b in POWERS)),
    Family("exponential", 3, tuple((t,) for t in DECAYS)),
    Family("logistic to zero", 2, tuple(product(MIDDLES, SLOPES)), offset=False, late=True),
    Family("logistic", 3, tuple(product(MIDDLES, SLOPES)), late=True),
)


@dataclass(frozen=True)
class FamilyFit:
    """A family fitted to B data sets: the least χ², and the fitted numbers, each of shape [B]."""

    family: Family
    chi2: Floats
    shape: np.ndarray[Any, np.dtype[np.intp]]
    offset: Floats
    slope: Floats

    def predict(self, u: Floats) -> Floats:
        """Error rates in [0, 1], shape [B, sizes]."""
        forms = np.stack([self.family.basis(u, shape) for shape in self.family.shapes])
        values = self.offset[:, None] + self.slope[:, None] * forms[self.shape]
        return np.asarray(np.clip(values, 0.0, 1.0))


def fit_family(
    family: Family,
    u: Floats,
    y: Floats,
    weight: Floats,
    rng: np.random.Generator | None = None,
) -> FamilyFit:
    """Weighted least squares of one family.

    Args:
        u: sizes over the largest, [S]. y: error rates, [B, S]. weight: 1 / variance, [S].
        rng: draw each data set's shape by its likelihood; without it the best one is taken. Where
            a skill has not begun to be learnt, many shapes fit alike, and the best says nothing.
    """
    count = len(y)
    lowest, chi2 = np.full(count, np.inf), np.full(count, np.inf)
    index = np.zeros(count, np.intp)
    offset, slope = np.zeros(count), np.zeros(count)
    for number, shape in enumerate(family.shapes):
        c, a = _solve(family, family.basis(u, shape), y, weight)
        fitted = c[:, None] + a[:, None] * family.basis(u, shape)
        loss = ((y - fitted) ** 2) @ weight
        chi2 = np.minimum(chi2, loss)
        # The least of χ²/2 − Gumbel noise is a draw by exp(−χ²/2).
        rank = loss / 2 if rng is None else loss / 2 - rng.gumbel(size=count)
        better = rank < lowest
        lowest[better], index[better] = rank[better], number
        offset[better], slope[better] = c[better], a[better]
    return FamilyFit(family, chi2, index, offset, slope)


def _solve(family: Family, form: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """c in [0, 1] and a of every data set, for one shape."""
    total = weight.sum()
    if family.late:
        if not family.offset:
            return np.zeros(len(y)), np.ones(len(y))
        rest = 1 - form  # e = form + c·(1 − form)
        scale = float(weight @ rest**2)
        c = ((y - form) * weight) @ rest / scale if scale > 1e-12 else np.zeros(len(y))
        c = np.clip(c, 0.0, 1.0)
        return c, 1 - c
    if family.free == 1:
        return (y @ weight) / total, np.zeros(len(y))
    scale = float(weight @ form**2)
    if not family.offset:
        return np.zeros(len(y)), np.maximum((y * weight) @ form / scale, 0.0)
    middle = float(weight @ form) / total
    spread = float(weight @ (form - middle) ** 2)
    if spread < 1e-12:
        return (y @ weight) / total, np.zeros(len(y))
    a = (y * weight) @ (form - middle) / spread
    c = (y @ weight) / total - a * middle
    if family.name == "logarithmic":  # its c is the rate at the largest size, not an end
        return c, a
    bounded = np.clip(c, 0.0, 1.0)
    moved = bounded != c
    again = ((y - bounded[:, None]) * weight) @ form / scale
    return bounded, np.where(moved, again, a)
