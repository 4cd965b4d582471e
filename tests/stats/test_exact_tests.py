"""Sign flips, tolerances, intervals of differences: exact, and never of width 0."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.stats.delta_interval import interval_of_differences
from residency.stats.exact_tests import (
    binomial_tail_p,
    mcnemar_p,
    sign_flip_test,
)
from residency.stats.intervals import mean_interval
from residency.stats.multiplicity import Question, adjust_family

STEPS = st.sampled_from([-1.0, -0.75, -2 / 3, -0.5, -0.25, 0.0, 0.25, 1 / 3, 0.5, 1.0])


def flip_every_way(differences: list[float]) -> float:
    total = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(value >= total - 1e-9 for value in sums) / len(sums)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(STEPS, min_size=1, max_size=10))
def test_p_is_the_share_of_all_flips_that_go_as_far(differences: list[float]) -> None:
    test = sign_flip_test(differences)
    assert test.p_value == pytest.approx(flip_every_way(differences))
    assert test.largest_attainable(test.p_value) == pytest.approx(test.p_value)
    assert test.largest_attainable(min(test.attainable) / 2) == 0.0


def test_lone_items_give_mcnemar() -> None:
    differences = [1.0] * 9 + [-1.0] * 2 + [0.0] * 30
    assert sign_flip_test(differences).p_value == pytest.approx(mcnemar_p(9, 2))
    assert sign_flip_test([]).p_value == sign_flip_test([0.0] * 5).p_value == 1.0


def test_odd_magnitudes_are_flipped_by_chance_and_stay_valid() -> None:
    rng = np.random.default_rng(0)
    p = [sign_flip_test(rng.normal(0, 1 / np.pi, 12).tolist()).p_value for _ in range(60)]
    assert min(p) > 0
    assert np.mean(np.asarray(p) <= 0.2) <= 0.35


def test_the_tolerance_is_tested_by_the_binomial_and_rounds_up() -> None:
    assert binomial_tail_p(0, 59, 0.05) == pytest.approx(0.95**59)
    assert binomial_tail_p(0.25, 59, 0.05) == binomial_tail_p(1, 59, 0.05)
    assert binomial_tail_p(59, 59, 0.05) == binomial_tail_p(0, 0, 0.05) == 1.0


@pytest.mark.parametrize("sizes", [[1] * 40, [4] * 40, [1, 2, 3, 6] * 10])
def test_intervals_of_group_differences_cover_the_truth(sizes: list[int]) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        group = rng.beta(0.8, 1.2, len(sizes))
        before = rng.binomial(sizes, group) / sizes
        after = rng.binomial(sizes, 0.6 * group) / sizes
        low, high = interval_of_differences((before - after).tolist(), sizes)
        assert low < high
        held += low <= 0.4 * 0.4 <= high
    assert 0.92 <= held / 400 <= 0.985


def test_no_width_is_zero_and_few_groups_claim_nothing() -> None:
    assert interval_of_differences([0.1] * 3) == (-1.0, 1.0)
    low, high = interval_of_differences([0.1] * 30, [5] * 30)
    assert low < 0.1 < high
    low, high = mean_interval([0.1] * 3, "abc", signed=True)
    assert (low, high) == (-np.inf, np.inf)
    low, high = mean_interval([0.1] * 20, range(20), signed=True)
    assert low < 0.1 < high
    low, high = mean_interval([1.0] * 20, range(20))
    assert low < 0.9 < high == 1.0


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.3), (8.0, 2.0), (20.0, 0.6)])
def test_intervals_of_means_cover_the_truth(a: float, b: float) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        values = np.round(rng.beta(a, b, 60) * 6) / 6
        low, high = mean_interval(values.tolist(), range(60))
        held += low <= TRUE_MEAN[a, b] <= high
    assert 0.92 <= held / 400 <= 0.99


def _true_mean(a: float, b: float) -> float:
    return float(np.mean(np.round(np.random.default_rng(9).beta(a, b, 400_000) * 6) / 6))


TRUE_MEAN = {key: _true_mean(*key) for key in ((0.3, 0.3), (8.0, 2.0), (20.0, 0.6))}


def test_a_tolerance_costs_nothing_before_its_fall_is_shown() -> None:
    strong, weak = sign_flip_test([1.0] * 20), sign_flip_test([1.0] * 9 + [-1.0])
    alone = adjust_family([Question(weak, weak.p_value, fell=False)])[0].change
    beside = adjust_family(
        [Question(weak, weak.p_value, fell=False), Question(weak, 0.9, p_tolerance=0.5)]
    )
    assert beside[0].change >= alone
    (one,) = adjust_family([Question(strong, strong.p_value, p_tolerance=0.01)])
    assert one.change == pytest.approx(strong.p_value)
    assert one.tolerance == pytest.approx(0.01)
