"""Many paired questions as one family: what is claimed, how often falsely, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from residency.stats.paired_changes import PairedQuestion, compare_changes


def side(values: list[float | None]) -> dict[str, float | None]:
    return {str(i): v for i, v in enumerate(values)}


def test_a_real_rise_is_told_and_a_real_fall_too() -> None:
    worse = PairedQuestion("a", side([0.0] * 60), side([1.0] * 20 + [0.0] * 40))
    better = PairedQuestion("b", side([1.0] * 20 + [0.0] * 40), side([0.0] * 60))
    alike = PairedQuestion("c", side([0.0] * 60), side([0.0] * 60))
    changes = compare_changes([worse, better, alike], margin=0.1)
    assert [c.status for c in changes] == ["worse", "better", "within margin"]
    assert changes[0].rise == pytest.approx(1 / 3)
    assert changes[0].low > 0 and changes[1].high < 0
    assert changes[0].adjusted_p >= changes[0].p_value


def test_what_is_missing_now_never_passes() -> None:
    """Unscored, or not asked: neither is a pass, whatever the rest says."""
    before = side([0.0] * 50)
    for after in (side([0.0] * 40 + [None] * 10), side([0.0] * 40)):
        (change,) = compare_changes([PairedQuestion("a", before, after)])
        assert change.status == "too little scored"
        assert change.coverage == pytest.approx(0.8)
    (change,) = compare_changes(
        [PairedQuestion("a", before, side([0.0] * 40 + [None] * 10))], coverage=0.8
    )
    assert change.status != "too little scored"
    (nothing,) = compare_changes([PairedQuestion("a", side([None] * 9), side([None] * 9))])
    assert nothing.status == "too little scored" and nothing.coverage == 0


def test_five_groups_say_nothing_however_many_items_they_have() -> None:
    groups = {str(i): str(i % 5) for i in range(200)}
    question = PairedQuestion("a", side([0.0] * 200), side([1.0] * 200), groups)
    (change,) = compare_changes([question])
    assert change.groups == 5 and change.status == "too little scored"


def test_a_scale_without_ends_has_no_margin() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(30, 3, 40)
    question = PairedQuestion(
        "perplexity", side(list(before)), side(list(before + rng.normal(0, 0.1, 40))), bounded=False
    )
    (change,) = compare_changes([question], margin=1.0)
    assert change.status == "unclear"
    question = PairedQuestion("p", question.before, side(list(before + 2)), bounded=False)
    (change,) = compare_changes([question])
    assert change.status == "worse" and change.rise == pytest.approx(2)


def test_a_family_of_unchanged_measures_is_called_worse_or_better_in_at_most_alpha() -> None:
    """Ten measures of two models that are alike, 150 times: false claims within 5 % and chance."""
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(150):
        questions = []
        for number in range(10):
            rate = rng.uniform(0.05, 0.5)
            both = rng.random((2, 60)) < rate
            questions.append(
                PairedQuestion(str(number), side(list(both[0] * 1.0)), side(list(both[1] * 1.0)))
            )
        false += any(c.status in ("worse", "better") for c in compare_changes(questions))
    assert false <= 150 * 0.05 + 3 * (150 * 0.05 * 0.95) ** 0.5


def test_within_the_margin_is_false_in_at_most_2_5_percent() -> None:
    """A true rise of exactly the margin is called within it in at most 2.5 % and chance."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(400):
        changed = rng.random(300)
        before = (changed < 0.05).astype(float)  # broken 0.10, fixed 0.05: a rise of 5 points
        after = ((changed >= 0.05) & (changed < 0.15)).astype(float)
        (change,) = compare_changes([PairedQuestion("a", side(list(before)), side(list(after)))])
        false += change.status == "within margin"
    assert false <= 400 * 0.025 + 3 * (400 * 0.025) ** 0.5
