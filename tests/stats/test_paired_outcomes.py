"""Exact tests, intervals and power for paired outcomes, against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from residency.config.diagnose import DiagnoseConfig
from residency.config.rounds import RoundsConfig
from residency.diagnose.plan_dev import describe_dev_needs, describe_tags
from residency.stats.delta_interval import delta_interval
from residency.stats.exact_tests import SignFlipTest, mcnemar_p, sign_e_value, sign_flip_test
from residency.stats.intervals import clopper_pearson
from residency.stats.multiplicity import adjust_by_discrete_holm
from residency.stats.paired_outcomes import compare_paired, pair_outcomes
from residency.stats.power import chance_to_show, count_rows_to_show, minimum_detectable


def change(better: int, worse: int) -> SignFlipTest:
    """The test of so many items that were fixed and broken, each a group of its own."""
    return sign_flip_test([1.0] * better + [-1.0] * worse)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (7, 2), (2, 7), (30, 30), (90, 40)])
def test_exact_p_is_mcnemars(better: int, worse: int) -> None:
    table = [[0, better], [worse, 0]]
    expected = mcnemar(table, exact=True).pvalue if better + worse else 1.0
    assert mcnemar_p(better, worse) == pytest.approx(min(1.0, expected), rel=1e-9)


def test_e_value_is_the_bayes_factor_and_has_mean_one_under_the_null() -> None:
    grid = (np.arange(200_000) + 0.5) / 200_000
    prior = stats.beta(0.5, 0.5).pdf(grid)
    integral = float(np.mean(prior * (2 * grid) ** 7 * (2 * (1 - grid)) ** 2))
    assert sign_e_value(7, 2) == pytest.approx(integral, rel=2e-3)
    n = 40
    mean = sum(stats.binom.pmf(k, n, 0.5) * sign_e_value(k, n - k) for k in range(n + 1))
    assert mean == pytest.approx(1.0, rel=1e-9)


def test_e_value_may_be_watched_while_items_come_in() -> None:
    rng = np.random.default_rng(5)
    crossed = 0
    for _ in range(400):
        flips = rng.random(120) < 0.5
        fixed = np.cumsum(flips)
        crossed += any(
            sign_e_value(int(f), i + 1 - int(f)) >= 20 for i, f in enumerate(fixed.tolist())
        )
    assert crossed / 400 <= 0.05


def test_pain_24_pairs_are_compared_as_pairs_and_carry_an_interval() -> None:
    # 40 % and 30 % of 100 items fail. As two unpaired samples that proves nothing; but no item
    # broke, which the pairing sees.
    before = {f"i{k}": k < 40 for k in range(100)}
    after = {f"i{k}": k < 30 for k in range(100)}
    unpaired = stats.fisher_exact([[40, 60], [30, 70]]).pvalue
    result = compare_paired(before, after)
    assert unpaired > 0.1
    assert result.p_value == pytest.approx(2 * 0.5**10)
    assert result.significant
    assert result.counts.delta == pytest.approx(0.1)
    assert 0 < result.low < result.counts.delta < result.high


def test_pain_25_a_comparison_names_the_items_that_changed() -> None:
    result = compare_paired(
        {"a": True, "b": False, "c": True, "d": None}, {"a": False, "b": True, "c": True, "d": True}
    )
    assert result.counts.fixed_ids == ("a",)
    assert result.counts.broken_ids == ("b",)


def test_pain_27_unscored_items_are_left_out_and_counted() -> None:
    counts = pair_outcomes({"a": True, "b": None, "c": False}, {"a": None, "b": True, "c": False})
    assert (counts.n, counts.unscored, counts.before_rate, counts.after_rate) == (1, 2, 0, 0)
    assert (counts.lost, counts.gained) == (1, 1)


def test_a_group_votes_once() -> None:
    before = {f"{g}{k}": True for g in "abc" for k in range(10)}
    after = dict.fromkeys(before, False)
    groups = {key: key[0] for key in before}
    free, grouped = pair_outcomes(before, after), pair_outcomes(before, after, groups=groups)
    assert (free.better, grouped.better) == (30, 3)
    assert free.p_value < 1e-8 < grouped.p_value == pytest.approx(0.25)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([True, False, None]),
            st.sampled_from([True, False, None]),
            st.integers(0, 4),
        ),
        max_size=30,
    )
)
def test_figures_of_groups_follow_their_definition(
    rows: list[tuple[bool | None, bool | None, int]],
) -> None:
    before = {f"i{n}": was for n, (was, _, _) in enumerate(rows)}
    after = {f"i{n}": now for n, (_, now, _) in enumerate(rows)}
    groups = {f"i{n}": f"g{own}" for n, (_, _, own) in enumerate(rows)}
    paired = pair_outcomes(before, after, groups=groups)
    both = [(w, n, g) for w, n, g in rows if w is not None and n is not None]
    known = [(w, n, g) for w, n, g in rows if w is not None or n is not None]
    assert paired.n == len(both) and paired.unscored == len(rows) - len(both)
    assert paired.lost + paired.gained == len(known) - len(both)
    ordered = list(dict.fromkeys(g for _, _, g in known))
    means = {g: [(w, n) for w, n, own in both if own == g] for g in ordered}
    assert paired.before == tuple(
        sum(w for w, _ in own) / len(own) for own in means.values() if own
    )
    assert paired.after == tuple(sum(n for _, n in own) / len(own) for own in means.values() if own)
    every = {g: [(w, n) for w, n, own in known if own == g] for g in ordered}
    worst = [sum(bool(w) - (n is None or n) for w, n in own) / len(own) for own in every.values()]
    best = [sum((w is None or w) - bool(n) for w, n in own) / len(own) for own in every.values()]
    assert paired.worst == pytest.approx(worst) and paired.best == pytest.approx(best)


def test_groups_widen_the_interval() -> None:
    before = {f"{g}-{k}": g % 3 > 0 for g in range(12) for k in range(5)}
    after = {f"{g}-{k}": g % 2 > 0 for g in range(12) for k in range(5)}
    groups = {key: key.split("-")[0] for key in before}
    free = compare_paired(before, after)
    grouped = compare_paired(before, after, groups=groups)
    assert grouped.high - grouped.low > 1.5 * (free.high - free.low)


@pytest.mark.parametrize(
    ("fixed", "broken", "n"), [(0, 0, 30), (5, 1, 20), (12, 12, 60), (40, 0, 40)]
)
def test_delta_interval_is_the_dirichlet_posterior(fixed: int, broken: int, n: int) -> None:
    rng = np.random.default_rng(0)
    draws = rng.dirichlet([fixed + 0.5, broken + 0.5, n - fixed - broken + 1], 400_000)
    low, high = np.quantile(draws[:, 0] - draws[:, 1], [0.025, 0.975])
    estimate = (fixed - broken) / n
    found = delta_interval(fixed, broken, n)
    assert found[0] == pytest.approx(min(low, estimate), abs=0.004)
    assert found[1] == pytest.approx(max(high, estimate), abs=0.004)


def test_delta_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    misses = total = 0
    for fixed_rate, broken_rate, n in [(0.3, 0.1, 25), (0.1, 0.05, 60), (0.5, 0.3, 40)]:
        shares = [fixed_rate, broken_rate, 1 - fixed_rate - broken_rate]
        for c, b, _ in rng.multinomial(n, shares, 400):
            low, high = delta_interval(int(c), int(b), n)
            misses += not low <= fixed_rate - broken_rate <= high
            total += 1
    assert misses / total <= 0.065


def test_discrete_holm_never_exceeds_holm_and_ignores_what_cannot_be_significant() -> None:
    pairs = [(14, 1), (9, 2), (3, 0), (2, 1), (1, 0), (0, 0)]
    plain = multipletests([mcnemar_p(*pair) for pair in pairs], method="holm")[1]
    found = adjust_by_discrete_holm([change(*pair) for pair in pairs])
    assert all(a <= b + 1e-12 for a, b in zip(found, plain, strict=True))
    # Three changes cannot give p below 0.25, so the strongest issue pays only for the second.
    largest = max(p for k in range(6) if (p := mcnemar_p(11 - k, k)) <= mcnemar_p(14, 1))
    assert found[0] == pytest.approx(mcnemar_p(14, 1) + largest)
    assert adjust_by_discrete_holm([change(8, 0)]) == [mcnemar_p(8, 0)]
    assert adjust_by_discrete_holm([]) == []


def test_discrete_holm_keeps_the_family_wise_level_under_dependence() -> None:
    """Issues that share their items, noise flips: any adjusted p ≤ α in at most α of the runs."""
    rng = np.random.default_rng(9)
    false = 0
    for _ in range(1500):
        signs = rng.choice([-1, 1], 40)
        pairs = []
        for share in (1.0, 0.7, 0.5, 0.3, 0.2):  # nested slices of the same flips
            inside = signs[rng.random(40) < share] if share < 1 else signs
            pairs.append(change(int((inside > 0).sum()), int((inside < 0).sum())))
        false += min(adjust_by_discrete_holm(pairs)) <= 0.05
    assert false / 1500 <= 0.05


def test_issues_of_another_reference_model_are_charged_in_full() -> None:
    pairs = [(14, 1), (9, 2), (3, 0)]
    tests = [change(*pair) for pair in pairs]
    own = mcnemar_p(14, 1)
    assert adjust_by_discrete_holm(tests, ["a", "b", "b"])[0] == pytest.approx(3 * own)
    assert adjust_by_discrete_holm(tests, ["a", "a", "a"])[0] <= 2 * own
    assert adjust_by_discrete_holm(tests, list("abc")) == pytest.approx(
        multipletests([mcnemar_p(*p) for p in pairs], method="holm")[1]
    )


def test_rate_bounds_are_clopper_pearsons() -> None:
    for failing, n in [(0, 9), (3, 20), (20, 20)]:
        exact = stats.binomtest(failing, n).proportion_ci(0.9, method="exact")
        assert clopper_pearson(failing, n, level=0.9) == pytest.approx((exact.low, exact.high))


def test_minimum_detectable_agrees_with_simulation() -> None:
    n, alpha, base = 120, 0.004, 0.4
    before = np.arange(n) < base * n  # what failed before is known when the effect is stated
    fall = minimum_detectable(before.astype(float).tolist(), [1] * n, alpha)
    rng = np.random.default_rng(3)
    after = rng.random((3000, n)) < base - fall
    fixed, broken = (before & ~after).sum(1), (after & ~before).sum(1)
    found = [
        f > b and mcnemar_p(int(f), int(b)) <= alpha for f, b in zip(fixed, broken, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_minimum_detectable_shrinks_with_items_and_is_infinite_when_nothing_can_be_shown() -> None:
    falls = [minimum_detectable([0.0, 1.0] * n, [1] * 2 * n, 0.005) for n in (30, 75, 300)]
    assert falls == sorted(falls, reverse=True)
    assert math.isinf(minimum_detectable([1.0] * 5 + [0.0], [1] * 6, 0.005))
    assert chance_to_show(100, 0.05, 0.3, 0.05) < 0.2  # 100 items cannot show five points


def test_rows_that_a_slice_needs_show_the_fall_and_one_less_does_not() -> None:
    for rate, fall in ((0.3, 0.1), (0.3, 0.2), (0.6, 0.2)):
        rows = count_rows_to_show(rate, fall, 0.005)
        assert rows is not None
        assert chance_to_show(rows, 0.005, rate, fall) >= 0.8
        assert chance_to_show(rows - 1, 0.005, rate, fall) < 0.8
    assert count_rows_to_show(0.1, 0.2, 0.005) is None  # it cannot fall further than to zero
    assert count_rows_to_show(0.5, 0.001, 0.005, most=200) is None


def test_check_says_how_many_dev_rows_a_slice_needs() -> None:
    said = describe_dev_needs(50, DiagnoseConfig(), RoundsConfig())
    few = count_rows_to_show(0.4, 0.2, 0.05 * 0.8 / 2 / 6)
    assert few is not None
    assert f"{math.ceil(few / 0.6)} rows for a fall by 20 points" in said
    assert "by 10 points" in said
    assert describe_dev_needs(0, DiagnoseConfig(), RoundsConfig()) == ""


def test_check_says_what_the_slice_of_each_tag_can_show() -> None:
    tags = {"all": 300, "late": 120, "loud": 40, "rare": 4}
    said = describe_tags(tags, 300, DiagnoseConfig(), RoundsConfig())
    measured = 72  # six tenths of 120
    alpha = 0.05 * 0.8 / 2 / 6
    fall = minimum_detectable([1.0] * 29 + [0.0] * 43, [1] * measured, alpha)
    assert f"late (120 rows) a fall by {100 * fall:.0f} points" in said
    assert "all (" not in said  # every row has it: no slice
    assert said.endswith("Too few dev rows to show even a fall to none: rare (4).") is (
        "loud (40 rows)" in said
    )
    assert describe_tags({}, 0, DiagnoseConfig(), RoundsConfig()) == ""
