"""Falls on two sets of items: chance is not called a difference, a real one is."""

from __future__ import annotations

import numpy as np

from residency.stats.fall_difference import compare_falls
from residency.stats.multiplicity import adjust_by_holm


def draw_falls(rng: np.random.Generator, groups: int, fixed: float) -> list[float]:
    """Differences of lone items: some were mended, a few were broken."""
    return rng.choice([1.0, 0.0, -1.0], groups, p=[fixed, 0.95 - fixed, 0.05]).tolist()


def test_falls_that_are_alike_are_told_apart_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(1)
    false = sum(
        compare_falls(draw_falls(rng, 40, 0.3), draw_falls(rng, 25, 0.3)).p_value <= 0.05
        for _ in range(120)
    )
    assert false / 120 <= 0.05 + 0.04


def test_a_fall_on_dev_alone_is_found_and_its_direction_is_told() -> None:
    rng = np.random.default_rng(2)
    falls = compare_falls(draw_falls(rng, 80, 0.6), draw_falls(rng, 80, 0.1))
    assert falls.p_value < 0.01
    assert falls.difference > 0.3
    assert (falls.first_groups, falls.second_groups) == (80, 80)


def test_a_handful_of_groups_says_nothing() -> None:
    assert compare_falls([1.0] * 5, [0.0] * 50).p_value == 1.0
    assert compare_falls([], []).p_value == 1.0


def test_holm_is_monotone_and_never_below_the_plain_p() -> None:
    assert adjust_by_holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert adjust_by_holm([0.9, 0.8]) == [1.0, 1.0]
    assert adjust_by_holm([]) == []
