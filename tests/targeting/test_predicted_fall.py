"""The budget goes where one more row is predicted to mend most, and nobody is starved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.targeting.selectors.predicted_fall import (
    MOST_RATE,
    USUAL_RATE,
    PartNeed,
    PartResponse,
    learn_rate,
    predict_fall,
    spread_budget,
)

needs = st.lists(
    st.builds(
        PartNeed,
        failures=st.integers(0, 40),
        trained=st.integers(0, 200),
        available=st.integers(1, 60),
        pool_share=st.floats(0, 0.9),
        rate=st.floats(0, MOST_RATE),
    ),
    min_size=1,
    max_size=9,
)


@given(needs, st.integers(1, 40), st.integers(0, 200))
def test_the_budget_is_spent_within_its_limits_and_no_part_is_starved(
    wanted: list[PartNeed], most_each: int, most: int
) -> None:
    shares = spread_budget(wanted, most_each=most_each, most=most)
    limits = [min(need.available, most_each) for need in wanted]
    assert sum(shares) == min(most, sum(limits))
    assert all(share <= limit for share, limit in zip(shares, limits, strict=True))
    if most >= len(wanted):
        floor = most // (2 * len(wanted))
        assert all(s >= min(limit, floor) for s, limit in zip(shares, limits, strict=True))


@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 50), st.floats(0.1, MOST_RATE))
def test_failures_fall_with_rows_and_every_further_row_mends_less(
    failures: int, trained: int, added: int, rate: float
) -> None:
    falls = [predict_fall(failures, trained, added + n, rate) for n in range(3)]
    assert 0 <= falls[0] <= falls[1] <= falls[2] < failures
    assert falls[2] - falls[1] <= falls[1] - falls[0] + 1e-9


def test_rows_go_where_failures_are_many_rows_few_and_random_rows_would_not_come() -> None:
    def share(first: PartNeed, second: PartNeed) -> tuple[int, ...]:
        return tuple(spread_budget([first, second], most_each=100, most=6))

    usual = PartNeed(failures=10, trained=5, available=100, pool_share=0.05)
    assert share(usual, usual) == (3, 3)
    for stronger in (
        PartNeed(failures=30, trained=5, available=100, pool_share=0.05),
        PartNeed(failures=10, trained=0, available=100, pool_share=0.05),
        PartNeed(failures=10, trained=5, available=100, pool_share=0.0, rate=1.0),
    ):
        assert share(stronger, usual)[0] > 3
    assert share(PartNeed(10, 5, 100, pool_share=0.8), usual)[0] < 3


def test_a_part_that_rows_did_not_move_gets_fewer() -> None:
    moved = learn_rate(PartResponse(0.9, 0.2, 3, 40))
    stuck = learn_rate(PartResponse(0.9, 0.9, 3, 40))
    assert stuck < USUAL_RATE < moved
    shares = spread_budget(
        [PartNeed(10, 40, 100, 0.05, rate=rate) for rate in (moved, stuck)], most_each=60, most=60
    )
    assert shares[0] > shares[1] >= 15


@pytest.mark.parametrize(
    "response",
    [
        None,
        PartResponse(0.0, 0.5, 3, 9),
        PartResponse(0.5, 0.1, 7, 7),
        PartResponse(0.5, 0.1, 9, 3),
    ],
)
def test_without_experience_the_usual_rate_counts(response: PartResponse | None) -> None:
    assert learn_rate(response) == USUAL_RATE


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 100), st.integers(0, 300))
def test_a_learnt_rate_stays_within_bounds(
    before: float, after: float, rows_before: int, more: int
) -> None:
    rate = learn_rate(PartResponse(before, after, rows_before, rows_before + more))
    assert 0 <= rate <= MOST_RATE
