"""Targeted rows against as many random ones."""

from __future__ import annotations

import numpy as np
import pytest

from residency.diagnose.compare_arms import compare_arms
from residency.stats.exact_tests import sign_flip_test
from residency.stats.multiplicity import find_threshold
from residency.stats.training_permutation import compare_trainings


def arm(failing: set[int], n: int = 40) -> dict[str, bool | None]:
    return {f"i{k}": k in failing for k in range(n)}


def test_one_overall_question_sees_what_no_single_issue_shows() -> None:
    control = {"a": arm(set(range(0, 5))), "b": arm(set(range(10, 15))), "c": arm({30, 31})}
    targeted = {"a": arm({0}), "b": arm({10}), "c": arm({30, 31})}
    found = compare_arms(control, targeted, half=set(arm(set())), groups={})
    assert (found.better, found.worse, found.groups) == (8, 0, 40)
    assert found.p_value == pytest.approx(2 / 2**8)
    assert min(found.adjusted_p.values()) > 0.05
    assert found.low > 0
    assert found.delta == pytest.approx(0.2 / 3)  # of three issues each item is judged by
    assert not found.data.can_tell
    assert "cannot be told" in found.data.sentence


def test_only_the_measuring_half_and_scored_items_count() -> None:
    control, targeted = {"a": arm({0, 1, 2})}, {"a": arm(set())}
    targeted["a"]["i0"] = None
    found = compare_arms(control, targeted, half={"i0", "i1", "i5"}, groups={})
    assert (found.better, found.groups) == (1, 2)


def test_arms_that_do_not_differ_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(400):
        sides = [
            {k: arm(set(np.flatnonzero(rng.random(40) < 0.3).tolist())) for k in "abcdef"}
            for _ in range(2)
        ]
        found = compare_arms(*sides, half=set(arm(set())), groups={})
        false += min(found.adjusted_p.values()) <= 0.05
    assert false / 400 <= 0.05
    empty = compare_arms({}, {}, half=set(), groups={})
    assert (empty.p_value, empty.groups) == (1.0, 0)


def test_threshold_lies_between_bonferroni_and_the_whole_of_alpha() -> None:
    assert find_threshold([], 0.02) == 0.02
    assert (
        find_threshold([sign_flip_test([1.0] * n) for n in (0, 1, 2, 3)], 0.02) == 0.02
    )  # issues with so few changes cost nothing
    many = find_threshold([sign_flip_test([1.0, -1.0] * 20)] * 9, 0.02)
    assert 0.002 <= many < 0.005


def test_pain_39_what_the_data_did_is_asked_of_trainings_and_not_of_items() -> None:
    """Two arms alike, but every training moves the whole slice: items would claim, trainings not."""
    rng = np.random.default_rng(4)
    by_items = by_trainings = 0
    for _ in range(200):
        rates = np.clip(rng.normal(0.4, 0.12, 8), 0.02, 0.98)
        arms = [{"a": arm(set(np.flatnonzero(rng.random(60) < r).tolist()), 60)} for r in rates]
        found = compare_arms(
            arms[0],
            arms[4],
            half=set(arm(set(), 60)),
            groups={},
            more_control=arms[1:4],
            more_targeted=arms[5:],
        )
        assert (found.data.control, found.data.targeted, found.data.can_tell) == (4, 4, True)
        by_items += found.p_value <= 0.05
        by_trainings += found.data.p_value <= 0.05
    assert by_trainings / 200 <= 0.05 + 0.03
    assert by_items / 200 > 0.12


def test_the_permutation_of_trainings_is_exact() -> None:
    found = compare_trainings([0.5, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3, 0.4])
    assert found.p_value == pytest.approx(2 / 70)
    assert found.delta == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert "targeted rows mended more" in found.sentence
    assert compare_trainings([0.5], [0.1]).p_value == 1.0
    assert compare_trainings([0.5] * 3, [0.1] * 3).can_tell is False  # 2 of 20 ways
