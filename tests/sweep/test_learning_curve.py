"""Curves: what is simulated is covered, what cannot be known is not claimed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from residency.sweep.curve_families import FAMILIES, fit_family
from residency.sweep.curve_words import describe_issue, describe_score, name_rows_needed
from residency.sweep.learning_curve import REACH, CellOutcomes, LearningCurve, fit_curve
from residency.sweep.sweep_result import NamedCurve
from residency.text.percent import write_percent

SIZES = (30, 60, 120, 240)


def simulate(
    truth: Callable[[float], float],
    seed: int,
    *,
    items: int = 120,
    seeds: tuple[int, ...] = (3, 3, 2, 2),
) -> list[CellOutcomes]:
    """Trainings whose items differ in difficulty, and whose seeds differ in luck."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=items)
    cells = []
    for rows, count in zip(SIZES, seeds, strict=True):
        for _ in range(count):
            rate = float(np.clip(truth(rows) + rng.normal(0, 0.02), 0.001, 0.999))
            noise = math.sqrt(0.6) * hard + math.sqrt(0.4) * rng.normal(size=items)
            cells.append(CellOutcomes(rows, (noise < stats.norm.ppf(rate)).astype(float)))
    return cells


def fit(cells: list[CellOutcomes], **options: int) -> LearningCurve:
    curve = fit_curve(cells, range(len(cells[0].errors)), resamples=120, **options)
    assert curve is not None
    return curve


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_finds_itself(family) -> None:  # type: ignore[no-untyped-def]
    """Without noise the fit of a family's own curve is the curve."""
    u = np.array([0.12, 0.25, 0.5, 1.0])
    shape = family.shapes[len(family.shapes) // 2]
    offset = 0.1 if family.offset else 0.0
    slope = {"logarithmic": -0.1, "flat": 0.0}.get(family.name, 0.3)
    if family.late:
        slope = 1 - offset
    y = (offset + slope * family.basis(u, shape))[None]
    found = fit_family(family, u, y, np.ones(4))
    far = np.array([0.2, 2.0, 4.0])
    expected = np.clip(offset + slope * family.basis(far, shape), 0, 1)
    assert found.predict(far)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "truth",
    [
        lambda n: 0.1 + 0.5 * (n / 30) ** -0.6,
        lambda n: 0.05 + 0.7 * math.exp(-n / 90),
        lambda n: 0.6 - 0.08 * math.log(n / 30),
        lambda n: 1 / (1 + (n / 150) ** 2),
        lambda n: 0.3,
    ],
    ids=["power", "exponential", "logarithmic", "late", "flat"],
)
def test_the_interval_covers_the_truth_at_twice_and_four_times_the_data(
    truth: Callable[[float], float],
) -> None:
    """Nominal 95 %. Of 10 curves by one law at most 2 may be missed at either distance."""
    missed = {2: 0, 4: 0}
    for seed in range(10):
        curve = fit(simulate(truth, seed))
        for times in missed:
            at = curve.at(SIZES[-1] * times)
            missed[times] += not at.low <= truth(SIZES[-1] * times) <= at.high
    assert max(missed.values()) <= 2


def test_nothing_is_said_beyond_four_times_the_data_or_with_two_sizes() -> None:
    cells = simulate(lambda n: 0.3, 0)
    with pytest.raises(ValueError, match="so far"):
        fit(cells).at(SIZES[-1] * REACH * 1.01)
    two = [cell for cell in cells if cell.rows in SIZES[:2]]
    assert fit_curve(two, range(120)) is None


def test_fewer_items_or_seeds_make_wider_intervals_and_unscored_items_do_not_count() -> None:
    def truth(rows: float) -> float:
        return 0.1 + 0.5 * (rows / 30) ** -0.6

    many, few = simulate(truth, 1, items=400), simulate(truth, 1, items=40)
    wide, narrow = (c.measured[-1].high - c.measured[-1].low for c in (fit(few), fit(many)))
    assert wide > 1.5 * narrow
    unscored = [CellOutcomes(c.rows, np.append(c.errors, [np.nan] * 5)) for c in many]
    groups = [*range(400), *range(400, 405)]
    curve = fit_curve(unscored, groups, resamples=50)
    assert curve is not None
    rates = {c.rows: [] for c in many}  # type: dict[int, list[float]]
    for cell in many:
        rates[cell.rows].append(float(cell.errors.mean()))
    expected = [np.mean(values) for values in rates.values()]
    assert [point.rate for point in curve.measured] == pytest.approx(expected)


def test_paraphrases_count_once() -> None:
    """Every item three times, as one group: nothing becomes surer."""
    cells = simulate(lambda n: 0.3, 2)
    alone = fit(cells)
    tripled = [CellOutcomes(c.rows, np.repeat(c.errors, 3)) for c in cells]
    together = fit_curve(tripled, np.repeat(np.arange(120), 3).tolist(), resamples=120)
    assert together is not None
    assert together.measured == alone.measured


def test_the_same_seed_gives_the_same_curve() -> None:
    cells = simulate(lambda n: 0.3, 3)
    assert fit(cells).to_dict() == fit(cells).to_dict()
    assert fit(cells).to_dict() != fit(cells, seed=1).to_dict()


def test_pain_47_words_say_how_many_rows_a_goal_takes_and_when_rows_do_not_help() -> None:
    falling = fit(simulate(lambda n: 0.6 * (n / 30) ** -0.7, 0, items=400, seeds=(3, 3, 3, 3)))
    median, low, high = falling.rows_until(0.12)
    assert low <= median <= high
    expected = 30 * (0.6 / 0.12) ** (1 / 0.7)
    assert low <= expected <= high
    _, low, high = falling.rows_until(0.08)  # beyond twice the data: the interval holds the truth
    assert low <= 30 * (0.6 / 0.08) ** (1 / 0.7) <= high
    said = describe_issue("urgency", falling, 0.12)
    assert said[0].startswith("*urgency* reaches 12 % at about ")
    assert "Twice the rows (480)" in said[1]

    last = replace(falling.measured[-1], rate=0.25, low=0.18, high=0.3)
    off_curve = replace(falling, measured=(*falling.measured[:-1], last))
    words = "by the curve, though with 240 rows 25 % [18, 30] were measured."
    assert describe_issue("urgency", off_curve, 0.2)[0].endswith(words)
    assert "by the curve" not in describe_issue("urgency", falling, 0.2)[0]

    settled = fit(simulate(lambda n: 0.0005, 0, items=4000, seeds=(3, 3, 3, 3)))
    settled_words = " ".join(describe_issue("product", settled, 0.5))
    assert "the rows are not what it lacks" in settled_words
    assert "is under 50 % already" in settled_words
    assert "the rows are not what it lacks" in describe_score("exact match", settled)[0]

    stuck = fit(simulate(lambda n: 0.7, 0, items=400))
    assert "does not come down to 5 % within 960 rows" in describe_issue("name", stuck, 0.05)[0]

    # the table's few words say what the sentences say
    assert name_rows_needed(falling, 0.12).replace(" [", " rows [") in said[0]
    assert name_rows_needed(settled, 0.5) == "under it already"
    assert name_rows_needed(stuck, 0.05).startswith("not within 960")
    for curve, sure in ((falling, True), (stuck, False)):
        doubled = NamedCurve("base", "is-1", "urgency", 0.1, curve, ()).to_dict()["doubled"]
        at = curve.at(2 * curve.largest)
        assert (doubled["rows"], doubled["rate"], doubled["sure"]) == (at.rows, at.rate, sure)


def test_a_curve_that_passes_the_last_size_elsewhere_says_so() -> None:
    """Else 2 % -> 26 % reads as if twice the rows did harm."""
    cells = [
        CellOutcomes(rows, np.full(60, float(rate)))
        for rows, rate in ((8, 1), (16, 1), (32, 1), (64, 0))
        for _ in range(2)
    ]
    curve = fit(cells)
    at = write_percent(curve.at(64).rate, 0)
    assert curve.at(64).rate > 0.1
    assert describe_issue("format", curve, 0.1)[1].endswith(f"; the curve passes 64 rows at {at}.")
    right = write_percent(1 - curve.at(64).rate, 0)
    assert describe_score("exact match", curve)[0].endswith(
        f"; the curve passes 64 rows at {right}."
    )
