"""What must hold for any outcomes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.decisions import CLAIMS, Comparison
from residency.diagnose.verdicts import judge_round
from residency.nouns.issue import Issue, Slice
from residency.stats.exact_tests import sign_flip_test
from residency.stats.multiplicity import adjust_by_discrete_holm
from residency.stats.paired_outcomes import pair_outcomes

OUTCOME = st.sampled_from([True, False, None])
ITEMS = st.lists(st.tuples(OUTCOME, OUTCOME, st.integers(0, 6)), max_size=60)
ISSUE = Issue("overlong", Slice(), "overlong", "1", 0.05, 0, "base")


def sides(items):  # type: ignore[no-untyped-def]
    before = {f"i{k}": was for k, (was, _, _) in enumerate(items)}
    after = {f"i{k}": now for k, (_, now, _) in enumerate(items)}
    groups = {f"i{k}": f"g{group}" for k, (_, _, group) in enumerate(items)}
    return before, after, groups


@settings(max_examples=150, deadline=None, derandomize=True)
@given(items=ITEMS)
def test_a_verdict_is_consistent_with_itself(items) -> None:  # type: ignore[no-untyped-def]
    before, after, _ = sides(items)
    (verdict,) = judge_round(
        [Comparison(ISSUE, "base", "m1", before, after)],
        half=set(before),
        groups={},
        round=1,
        config=DiagnoseConfig(),
    )
    assert verdict.n + verdict.unscored == len(items)
    assert -1 <= verdict.low <= verdict.delta <= verdict.high <= 1
    if verdict.status in CLAIMS:
        assert verdict.p_value <= verdict.alpha
    elif not verdict.lost + verdict.gained:
        assert verdict.p_value > verdict.alpha
    if verdict.status == "resolved":
        assert verdict.after_rate <= ISSUE.tolerance
    (back,) = judge_round(
        [Comparison(ISSUE, "m1", "base", after, before)],
        half=set(before),
        groups={},
        round=1,
        config=DiagnoseConfig(),
    )
    assert back.p_value == verdict.p_value
    assert (back.status == "regressed") == (verdict.status in ("resolved", "improved"))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(items=ITEMS)
def test_groups_never_make_the_evidence_stronger_than_its_groups(items) -> None:  # type: ignore[no-untyped-def]
    before, after, groups = sides(items)
    grouped = pair_outcomes(before, after, groups=groups)
    assert grouped.better + grouped.worse <= grouped.groups <= 7
    assert grouped.p_value >= 2.0 ** (1 - 7)
    assert -1 <= min(grouped.differences, default=0) <= grouped.delta <= 1
    swapped = pair_outcomes(after, before, groups=groups)
    assert (swapped.better, swapped.worse) == (grouped.worse, grouped.better)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
def test_adjusted_p_lies_between_p_and_bonferroni(pairs) -> None:  # type: ignore[no-untyped-def]
    tests = [sign_flip_test([1.0] * better + [-1.0] * worse) for better, worse in pairs]
    plain = [test.p_value for test in tests]
    adjusted = adjust_by_discrete_holm(tests)
    assert all(p <= a + 1e-12 for p, a in zip(plain, adjusted, strict=True))
    order = sorted(range(len(pairs)), key=lambda i: plain[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(order))
    if plain:
        assert min(adjusted) <= min(1.0, len(pairs) * min(plain)) + 1e-12
