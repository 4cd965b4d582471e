"""Sameness against a margin: a loss of the margin itself is seldom called kept."""

from __future__ import annotations

import numpy as np
import pytest

from residency.stats.delta_interval import score_interval


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("fixed", [0.0, 0.005, 0.02])
def test_a_loss_of_the_margin_is_called_kept_in_at_most_the_promised_share(
    n: int, fixed: float
) -> None:
    margin = 0.02
    rng = np.random.default_rng(0)
    draws = rng.multinomial(n, [fixed, fixed + margin, 1 - 2 * fixed - margin], 2000)
    pairs, times = np.unique(draws[:, :2], axis=0, return_counts=True)
    kept = sum(
        count
        for (up, down), count in zip(pairs.tolist(), times.tolist(), strict=True)
        if score_interval(up, down, n)[0] > -margin
    )
    assert kept / 2000 <= 0.025 + 0.007


def test_the_interval_turns_with_the_sides_and_is_never_of_width_zero() -> None:
    low, high = score_interval(9, 3, 500)
    assert score_interval(3, 9, 500) == pytest.approx((-high, -low))
    assert low < 6 / 500 < high
    low, high = score_interval(0, 0, 200)
    assert low == pytest.approx(-high)
    assert -0.03 < low < -0.015
    assert score_interval(0, 0, 0) == (-1.0, 1.0)
    assert score_interval(8, 0, 8)[1] == 1.0
