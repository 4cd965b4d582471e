"""How an error rate moves with the rows, what more rows would do, and how sure that is.

No family of curves is right and a single one asks for too little data (Figueroa 2012, Mahmood 2022),
so they are averaged by how well they fit (Akaike weights; the noise is known from the repeats). The
whole is done again on resampled items and seeds, and each resample draws one family by its weights,
and its shape by its likelihood: the interval holds the noise of items, of seeds and drawn rows, and the doubt about the form; and half
of the resamples go on more slowly than their family beyond what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from residency.sweep.curve_families import FAMILIES, Floats, fit_family

RESAMPLES = 600
REACH = 4.0
"""Times the largest measured size up to which anything is said."""
LEVEL = 0.95
FEWEST_SIZES = 3
CURVE_POINTS = 48
SLOWED, SLOWEST = 0.5, 0.3
"""Share of resamples that slow down beyond the measured sizes, and to which power at most."""


@dataclass(frozen=True)
class CellOutcomes:
    """One training's error on each measuring item: 1 fails, 0 passes, nan was not scored."""

    rows: int
    errors: Floats


@dataclass(frozen=True)
class Prediction:
    """An error rate at some number of rows, with its 95 % interval."""

    rows: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """A fitted curve of one error rate.

    Attributes:
        measured: mean rate at each size over its trainings, with an interval over items and seeds.
        repeats: trainings at each size, in the same order.
        curve: the averaged curve up to ``REACH`` times the largest size.
        weights: share of resamples that drew each family.
        sizes: rows of ``curve``, not rounded. replicates: rates of every resample there, [B, sizes].
        resolution: change of the rate that one item makes.
    """

    measured: tuple[Prediction, ...]
    repeats: tuple[int, ...]
    curve: tuple[Prediction, ...]
    weights: dict[str, float]
    resolution: float
    sizes: Floats = field(repr=False)
    replicates: Floats = field(repr=False)

    @property
    def largest(self) -> int:
        """Most rows that were measured."""
        return self.measured[-1].rows

    def at(self, rows: float) -> Prediction:
        """The rate at so many rows.

        Raises:
            ValueError: beyond ``REACH`` times the largest measured size.
        """
        if rows > self.largest * REACH * 1.001:
            raise ValueError("no curve is followed so far")
        return _summarise(round(rows), self._values_at(rows))

    def change(self, rows: float) -> Prediction:
        """How the rate changes from the largest measured size to so many rows (negative: falls)."""
        return _summarise(round(rows), self._values_at(rows) - self._values_at(self.largest))

    def rows_until(self, rate: float) -> tuple[float, float, float]:
        """Rows from which on the rate stays at or under this: median, low, high.

        inf: not within ``REACH``; the smallest measured size: it is so from there on.
        """
        above = self.replicates > rate
        count = len(self.sizes)
        last = np.where(above.any(axis=1), count - 1 - above[:, ::-1].argmax(axis=1), -1)
        crossings = np.where(last < 0, self.sizes[0], math.inf)
        inner = np.flatnonzero((last >= 0) & (last < count - 1))
        before, after = last[inner], last[inner] + 1
        was, now = self.replicates[inner, before], self.replicates[inner, after]
        part = (was - rate) / np.maximum(was - now, 1e-12)
        logs = np.log(self.sizes)
        crossings[inner] = np.exp(logs[before] + part * (logs[after] - logs[before]))
        tail = (1 - LEVEL) / 2
        quantiles = np.quantile(crossings, [0.5, tail, 1 - tail], method="nearest")
        return float(quantiles[0]), float(quantiles[1]), float(quantiles[2])

    def _values_at(self, rows: float) -> Floats:
        logs = np.log(self.sizes)
        position = float(np.interp(math.log(rows), logs, np.arange(len(logs))))
        left = min(int(position), len(logs) - 2)
        part = position - left
        return (1 - part) * self.replicates[:, left] + part * self.replicates[:, left + 1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: what is measured, the curve, the families' weights."""
        return {
            "measured": [
                {**vars(point), "trainings": n}
                for point, n in zip(self.measured, self.repeats, strict=True)
            ],
            "curve": [vars(point) for point in self.curve],
            "families": self.weights,
        }


def fit_curve(
    cells: Sequence[CellOutcomes],
    groups: Sequence[int],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> LearningCurve | None:
    """The learning curve of one error rate; None below three sizes that were scored.

    Args:
        cells: trainings of one setting on nested rows, over the same items.
        groups: group of each item, from 0 (paraphrases share one and are resampled together).
    """
    rng = np.random.default_rng(seed)
    by_group, there = _average_groups(cells, groups)
    scored = np.asarray(there.any(axis=1), bool)
    cells = [cell for cell, good in zip(cells, scored.tolist(), strict=True) if good]
    by_group, there = by_group[scored], there[scored]
    rows = np.array([cell.rows for cell in cells])
    sizes = np.unique(rows)
    if len(sizes) < FEWEST_SIZES:
        return None
    repeats = np.array([(rows == size).sum() for size in sizes])
    rates = _resample_items(by_group, there, resamples, rng)
    means = np.stack([rates[:, rows == size].mean(axis=1) for size in sizes], axis=1)
    resolution = 1.0 / max(1, int(there.sum(axis=1).max()))
    variance, freedom = _seed_variance(rates[0], rows, sizes, means[0], resolution)
    variance *= _lack_of_fit(means[0], variance, repeats, sizes, resolution)
    drawn = variance * freedom / rng.chisquare(freedom, resamples) if freedom else np.full(resamples, variance)  # fmt: skip
    noise = rng.standard_normal((resamples, len(sizes))) * np.sqrt(drawn[:, None] / repeats)
    data = np.clip(means[1:] + noise, 0.0, 1.0)
    known = _weigh_sizes(variance, repeats, resolution)
    grid = np.geomspace(sizes[0], sizes[-1] * REACH, CURVE_POINTS)
    replicates, shares = _draw_curves(data, known, sizes, grid, rng)
    measured = [
        Prediction(int(size), float(means[0, i]), *_interval(data[:, i]))
        for i, size in enumerate(sizes)
    ]
    curve = [_summarise(round(size), replicates[:, i]) for i, size in enumerate(grid)]
    return LearningCurve(
        tuple(measured),
        tuple(int(n) for n in repeats),
        tuple(curve),
        shares,
        resolution,
        grid,
        replicates,
    )


def _average_groups(cells: Sequence[CellOutcomes], groups: Sequence[int]) -> tuple[Floats, Floats]:
    """Each cell's mean error of each group (0 where none was scored), and whether one was."""
    index = np.asarray(groups, int)
    count = int(index.max()) + 1 if len(index) else 1
    means, there = [], []
    for cell in cells:
        known = ~np.isnan(cell.errors)
        total = np.bincount(index[known], cell.errors[known], count)
        number = np.bincount(index[known], minlength=count)
        means.append(total / np.maximum(number, 1))
        there.append((number > 0).astype(float))
    return np.array(means), np.array(there)


def _resample_items(
    by_group: Floats, there: Floats, resamples: int, rng: np.random.Generator
) -> Floats:
    """Rates of every cell, [1 + B, cells]: as measured, then with groups weighted anew.

    Weights are drawn as by the Bayesian bootstrap (Rubin 1981), the same for all cells. A group that
    fails and one that passes, each of half the weight, stand beside the real ones: otherwise a
    rate of 0 or 1 would have no doubt in it.
    """
    count = by_group.shape[1]
    weights = np.vstack([np.ones((1, count)), rng.gamma(1.0, 1.0, (resamples, count))])
    failing, passing = rng.gamma(0.5, 1.0, (2, resamples + 1, 1))
    failing[0] = passing[0] = 0.0
    total = weights @ there.T + failing + passing
    return np.asarray((weights @ by_group.T + failing) / np.maximum(total, 1e-9))


def _seed_variance(
    rates: Floats, rows: Any, sizes: Any, means: Floats, resolution: float
) -> tuple[float, int]:
    """Variance of one training's rate around its size's mean, and its degrees of freedom.

    Without any repeat it is taken as half of what as many independent items would give.
    """
    residuals = rates - means[np.searchsorted(sizes, rows)]
    freedom = len(rows) - len(sizes)
    middle = float(means.mean())
    guess = 0.5 * max(middle * (1 - middle), resolution) * resolution
    if freedom <= 0:
        return guess, 0
    # A few repeats may agree by luck: the guess counts as two of them.
    return (float((residuals**2).sum()) + 2 * guess) / (freedom + 2), freedom + 2


def _weigh_sizes(variance: float, repeats: Any, resolution: float) -> Floats:
    """1 / variance of each size's mean."""
    return np.asarray(1 / (variance / repeats + (resolution / 4) ** 2))


def _lack_of_fit(
    means: Floats, variance: float, repeats: Any, sizes: Any, resolution: float
) -> float:
    """How many times more the means scatter around the best family than repeats explain (from 1 on).

    Where no family fits, the curve is surer of itself than it may be; so the noise is taken to be larger.
    """
    weight = _weigh_sizes(variance, repeats, resolution)
    scatter = [
        float(fit_family(family, sizes / sizes[-1], means[None], weight).chi2[0])
        / (len(sizes) - family.free)
        for family in FAMILIES
        if family.free < len(sizes)
    ]
    return max(1.0, min(scatter))


def _draw_curves(
    data: Floats, weight: Floats, sizes: Any, grid: Floats, rng: np.random.Generator
) -> tuple[Floats, dict[str, float]]:
    """For each resample the curve of one family, family and shape drawn by how well they fit."""
    scale = float(sizes[-1])
    families = [family for family in FAMILIES if family.free < len(sizes)]
    fits = [fit_family(family, sizes / scale, data, weight, rng) for family in families]
    scores = np.stack([fit.chi2 + 2 * fit.family.free for fit in fits], axis=1)
    chances = np.exp(-(scores - scores.min(axis=1, keepdims=True)) / 2)
    chances /= chances.sum(axis=1, keepdims=True)
    drawn = (chances.cumsum(axis=1) < rng.random(len(data))[:, None]).sum(axis=1)
    drawn = np.minimum(drawn, len(fits) - 1)
    curves = np.stack([fit.predict(grid / scale) for fit in fits])
    shares = {f.name: float((drawn == number).mean()) for number, f in enumerate(families)}
    return _slow_down(curves[drawn, np.arange(len(data))], grid, scale, rng), shares


def _slow_down(curves: Floats, grid: Floats, largest: float, rng: np.random.Generator) -> Floats:
    """Half of the resamples go on more slowly beyond the largest measured size.

    Real curves bend where no small size shows it (Caballero 2023), above all where several skills are learnt
    one after the other: a fit of the first asks for too little data. There k times the rows count as
    k^s times, s even in [``SLOWEST``, 1].
    """
    speeds = np.where(rng.random(len(curves)) < SLOWED, rng.uniform(SLOWEST, 1.0, len(curves)), 1.0)
    logs = np.log(grid)
    beyond = np.maximum(logs - math.log(largest), 0.0)
    return np.stack(
        [
            np.interp(np.minimum(logs, math.log(largest)) + speed * beyond, logs, curve)
            for speed, curve in zip(speeds, curves, strict=True)
        ]
    )


def _interval(values: Floats) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _summarise(rows: int, values: Floats) -> Prediction:
    return Prediction(rows, float(np.median(values)), *_interval(values))
