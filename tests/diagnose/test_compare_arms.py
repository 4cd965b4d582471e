"""Targeted rows against as many random ones."""

from __future__ import annotations

import numpy as np
import pytest

from residency.diagnose.compare_arms import compare_arms
from residency.stats.paired_outcomes import threshold


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
    assert found.delta == pytest.approx(0.2)


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
    assert threshold([], 0.02) == 0.02
    assert threshold([0, 1, 2, 3], 0.02) == 0.02  # issues with so few changes cost nothing
    many = threshold([40] * 9, 0.02)
    assert 0.002 <= many < 0.005
