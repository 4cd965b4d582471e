"""Rates corrected by labels: coverage of the interval, and what it must not do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.stats.labelled_rate import FEWEST_LABELS, correct_rate


def draw_world(
    rng: np.random.Generator, *, truth: float, found: float, alarms: float, n: int, labels: int
) -> tuple[dict[str, bool | None], dict[str, bool | None]]:
    """Outcomes of a detector, and labels drawn blindly within the flagged and the others."""
    fails = rng.random(n) < truth
    flags = np.where(fails, rng.random(n) < found, rng.random(n) < alarms)
    outcomes: dict[str, bool | None] = {f"i{k}": bool(flags[k]) for k in range(n)}
    chosen: dict[str, bool | None] = {}
    for flag in (True, False):
        places = np.flatnonzero(flags == flag)
        for k in rng.permutation(places)[: labels if flag else 2 * labels].tolist():
            chosen[f"i{k}"] = bool(fails[k])
    return outcomes, chosen


@pytest.mark.parametrize(
    ("truth", "found", "alarms"),
    [(0.3, 0.8, 0.1), (0.1, 0.9, 0.3), (0.6, 0.5, 0.02), (0.05, 0.6, 0.05), (0.3, 1.0, 0.0)],
)
def test_the_interval_holds_the_true_rate(truth: float, found: float, alarms: float) -> None:
    rng = np.random.default_rng(1)
    held = told = 0
    for _ in range(120):
        outcomes, labels = draw_world(
            rng, truth=truth, found=found, alarms=alarms, n=150, labels=15
        )
        made = correct_rate(outcomes, outcomes, labels)
        if made is None:
            continue
        told += 1
        held += made.low <= truth <= made.high
    assert told > 70
    assert held / told >= 0.92


def test_labels_drawn_more_from_the_flagged_do_not_bend_the_rate() -> None:
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(150):
        outcomes, labels = draw_world(rng, truth=0.3, found=0.8, alarms=0.1, n=200, labels=12)
        made = correct_rate(outcomes, outcomes, labels)
        assert made is not None
        rates.append(made.rate)
    assert np.mean(rates) == pytest.approx(0.3, abs=0.02)


def test_paraphrases_are_one_observation() -> None:
    outcomes = {f"i{k}": k < 40 for k in range(120)}
    labels = {f"i{k}": k < 30 for k in (*range(0, 40), *range(60, 100))}
    lone = correct_rate(outcomes, outcomes, labels)
    groups = {f"i{k}": f"g{k // 4}" for k in range(120)}
    grouped = correct_rate(outcomes, outcomes, labels, groups=groups)
    assert lone is not None
    assert grouped is not None
    assert grouped.rate == pytest.approx(lone.rate)
    assert grouped.high - grouped.low > 1.5 * (lone.high - lone.low)


def test_what_was_not_asked_may_fail_or_not() -> None:
    outcomes = {f"i{k}": k < 30 for k in range(60)}
    labels = {f"i{k}": k < 30 for k in (*range(0, 10), *range(40, 50))}
    sure = correct_rate(outcomes, outcomes, labels)
    unsure = correct_rate(outcomes, outcomes, {**labels, **{f"i{k}": None for k in range(20, 26)}})
    assert sure is not None
    assert unsure is not None
    assert unsure.unsure == 6
    assert unsure.low < sure.low
    assert unsure.high >= sure.high - 0.02
    assert "may or may not" in unsure.sentence


def test_too_few_labels_correct_nothing() -> None:
    outcomes = {f"i{k}": k < 30 for k in range(60)}
    few = {f"i{k}": True for k in range(FEWEST_LABELS)}
    assert correct_rate(outcomes, outcomes, few) is None  # none among those that pass
    both = {**few, **{f"i{59 - k}": False for k in range(FEWEST_LABELS)}}
    assert correct_rate(outcomes, outcomes, both) is not None
    assert correct_rate({}, outcomes, both) is None
    never = dict.fromkeys(outcomes, False)
    made = correct_rate(never, never, {f"i{k}": k == 0 for k in range(20)})
    assert made is not None  # nothing is flagged, so nothing flagged needs a label
    assert made.rate == pytest.approx(1 / 20)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    items=st.lists(
        st.tuples(
            st.sampled_from([True, False, None]),
            st.sampled_from([True, False, None, "none"]),
            st.integers(0, 30),
        ),
        min_size=12,
        max_size=80,
    )
)
def test_it_stays_within_the_rectangle(items) -> None:  # type: ignore[no-untyped-def]
    outcomes = {f"i{k}": flag for k, (flag, _, _) in enumerate(items)}
    labels = {f"i{k}": label for k, (_, label, _) in enumerate(items) if label != "none"}
    groups = {f"i{k}": f"g{group}" for k, (_, _, group) in enumerate(items)}
    made = correct_rate(outcomes, outcomes, labels, groups=groups)
    if made is not None:
        assert 0 <= made.low <= made.rate <= made.high <= 1
        assert made.right <= made.flagged
        assert made.missed <= made.passed
