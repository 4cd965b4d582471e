"""Verdicts of a round, and of the sealed test."""

from __future__ import annotations

import math

import pytest

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.decisions import CLAIMS, Comparison, decide_statuses
from residency.diagnose.error_budget import round_alpha
from residency.diagnose.verdicts import confirm_on_test, judge_round, stated_mde
from residency.nouns.issue import Issue, Slice
from residency.stats.sample_reducer import Outcomes

CONFIG = DiagnoseConfig(tolerance=0.05)


def issue(kind: str = "overlong", *, found: int = 0, model: str = "base") -> Issue:
    return Issue(kind, Slice(), kind, "1", 0.05, found, model)


def run(failing: int, n: int = 100, *, start: int = 0) -> Outcomes:
    return {f"i{k}": start <= k < start + failing for k in range(n)}


def judge(before: Outcomes, after: Outcomes, **more: object) -> str:
    verdicts = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups={},
        round=1,
        config=CONFIG,
        **more,  # type: ignore[arg-type]
    )
    return verdicts[0].status


def test_statuses() -> None:
    assert judge(run(60, 300), run(1, 300)) == "resolved"
    assert judge(run(60), run(2)) == "improved"  # 2 of 100 may well be 6 of 100
    assert judge(run(60), run(20)) == "improved"
    assert judge(run(20), run(60)) == "regressed"
    assert judge(run(60), run(58)) == "persisting"
    assert judge(run(6), run(4)) == "inconclusive"
    assert judge(run(0, 0), run(0, 0)) == "inconclusive"


def test_only_the_measuring_half_counts() -> None:
    before, after = run(60), run(0)
    measured = {f"i{k}" for k in range(60, 100)}
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=measured,
        groups={},
        round=1,
        config=CONFIG,
    )[0]
    assert (verdict.n, verdict.fixed, verdict.status) == (40, 0, "inconclusive")


def test_the_same_fall_needs_more_in_later_rounds_and_beside_more_issues() -> None:
    comparison = Comparison(issue(), "base", "m1", run(20), run(11))
    still = [
        Comparison(issue(f"kind{k}"), "base", "m1", run(20), run(20, start=10)) for k in range(9)
    ]

    def status(round: int, others: list[Comparison]) -> str:
        verdicts = judge_round(
            [comparison, *others], half=set(run(0)), groups={}, round=round, config=CONFIG
        )
        return verdicts[0].status

    assert status(1, []) == "improved"
    assert status(2, []) == "improved"
    assert status(6, []) != "improved"
    assert status(1, still) != "improved"
    hardly = [Comparison(issue(f"kind{k}"), "base", "m1", run(20), run(19)) for k in range(9)]
    assert status(1, hardly) == "improved"  # issues that cannot be significant cost nothing


def test_alpha_over_all_rounds_and_the_test_is_alpha() -> None:
    spent = math.fsum(round_alpha(0.05, r) for r in range(1, 20_000)) + 0.2 * 0.05
    assert spent == pytest.approx(0.05, rel=1e-4)
    assert spent < 0.05
    known = math.fsum(round_alpha(0.05, r, 3) for r in (1, 2, 3)) + 0.2 * 0.05
    assert known == pytest.approx(0.05)
    for number, of in ((0, 0), (4, 3)):
        with pytest.raises(ValueError, match="count from 1"):
            round_alpha(0.05, number, of)


def test_new_and_newly_detected_claim_nothing() -> None:
    found_now = issue("hallucination", found=2, model="m2")
    old = Comparison(issue(), "base", "m2", run(20), run(9))

    def statuses(before: Outcomes) -> list[str]:
        new = Comparison(found_now, "m1", "m2", before, run(30))
        verdicts = judge_round([old, new], half=set(run(0)), groups={}, round=2, config=CONFIG)
        assert verdicts[0].alpha == pytest.approx(round_alpha(0.05, 2))  # the new one costs nothing
        return [v.status for v in verdicts]

    assert statuses(run(1)) == ["improved", "new"]
    assert statuses(run(25)) == ["improved", "newly detected"]
    assert {"new", "newly detected"}.isdisjoint(CLAIMS)


def test_a_verdict_carries_its_figures_and_a_reason() -> None:
    before, after = run(30, 60), run(25, 60)
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups={},
        round=1,
        config=CONFIG,
    )[0]
    assert verdict.delta == pytest.approx(5 / 60)
    assert verdict.low < verdict.delta < verdict.high
    assert verdict.p_value == pytest.approx(2 / 2**5)
    assert verdict.before_rate == 0.5
    assert 0.2 < verdict.mde < 0.4
    assert verdict.status == "persisting"


def test_inconclusive_says_what_it_would_take() -> None:
    few = judge_round(
        [Comparison(issue(), "base", "m1", run(3, 6), run(0, 6))],
        half=set(run(0)),
        groups={},
        round=1,
        config=CONFIG,
    )[0]
    assert few.status == "inconclusive"
    assert "cannot show even a fall to zero" in few.note


def test_a_resolved_issue_that_comes_back_is_named() -> None:
    half = set(run(0, 300))
    first = judge_round(
        [Comparison(issue(), "base", "m1", run(60, 300), run(0, 300))],
        half=half,
        groups={},
        round=1,
        config=CONFIG,
    )
    second = judge_round(
        [Comparison(issue(), "base", "m2", run(60, 300), run(30, 300))],
        half=half,
        groups={},
        round=2,
        config=CONFIG,
        previous=first,
    )[0]
    assert (first[0].status, second.status) == ("resolved", "improved")
    assert "was resolved in round 1" in second.note


def test_paraphrases_of_one_request_do_not_prove_anything_by_number() -> None:
    before = {f"{g}-{k}": True for g in range(3) for k in range(40)}
    after = dict.fromkeys(before, False)
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups={key: key.split("-")[0] for key in before},
        round=1,
        config=CONFIG,
    )[0]
    assert verdict.status == "inconclusive"


def test_stated_mde_is_known_before_and_equals_the_verdicts() -> None:
    before, after = run(40), run(35)
    stated = stated_mde(
        issue(), before, half=set(before), groups={}, issues=1, round=1, config=CONFIG
    )
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups={},
        round=1,
        config=CONFIG,
    )[0]
    assert stated == verdict.mde


def test_the_sealed_test_confirms_with_its_own_share_of_alpha() -> None:
    verdicts = confirm_on_test(
        [
            Comparison(issue(), "base", "final", run(60, 300), run(1, 300)),
            Comparison(issue("repetition"), "base", "final", run(10), run(8)),
        ],
        groups={},
        round=2,
        alpha=0.05 * 0.2,
    )
    assert [v.status for v in verdicts] == ["resolved", "inconclusive"]
    assert {v.split for v in verdicts} == {"test"}
    assert all(v.alpha <= 0.05 * 0.2 * (1 + 1e-9) for v in verdicts)


def test_under_the_tolerance_is_a_claim_of_its_own_with_its_bound() -> None:
    """59 items without a failure exclude 5 % at 95 %; the level here is stricter."""
    for n, status in ((59, "improved"), (100, "resolved")):
        before, after = run(n, n), run(0, n)
        verdict = judge_round(
            [Comparison(issue(), "base", "m1", before, after)],
            half=set(before),
            groups={},
            round=1,
            rounds=1,
            config=CONFIG,
        )[0]
        assert verdict.status == status, n
        assert "at most" in verdict.note
    grouped = {f"i{k}": f"g{k // 4}" for k in range(100)}
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", run(100), run(0))],
        half=set(run(0)),
        groups=grouped,
        round=1,
        rounds=1,
        config=CONFIG,
    )[0]
    assert verdict.status == "improved"  # 25 requests, however many ways of asking


def test_the_tolerance_is_asked_of_all_answers_of_the_later_model() -> None:
    """40 more clean answers, to items that the earlier model left unscored, are evidence as well."""
    before: Outcomes = {f"i{k}": k < 50 if k < 70 else None for k in range(110)}
    clean: Outcomes = dict.fromkeys(before, False)
    assert judge(before, {**clean, **{f"i{k}": None for k in range(70, 110)}}) == "improved"
    assert judge(before, clean) == "resolved"
    assert judge(before, {**clean, **{f"i{k}": True for k in range(70, 90)}}) == "improved"


@pytest.mark.parametrize("failing", [0, 1, 12, 30])
def test_no_level_is_spent_on_a_tolerance_that_the_finding_part_excludes(failing: int) -> None:
    """What the finding part says of issue 2 decides whether issue 1 shares the level with it."""
    half = {f"i{k}" for k in range(100)}

    def compare(kind: str, *, measured: int, found: int) -> Comparison:
        after = {f"i{k}": k < measured for k in range(100)}
        after |= {f"f{k}": k < found for k in range(60)}
        before = {key: key[0] == "f" or int(key[1:]) < 60 for key in after}
        return Comparison(issue(kind), "base", "m1", before, after)

    pair = [compare("overlong", measured=0, found=0), compare("format", measured=4, found=failing)]
    decisions = decide_statuses(pair, half=half, groups={}, alpha=0.011)
    assert [d.adjusted.change <= 0.011 for d in decisions] == [True, True]
    alone = decide_statuses(pair[:1], half=half, groups={}, alpha=0.011)[0]
    spent = decisions[0].adjusted.tolerance / alone.adjusted.tolerance
    assert spent == pytest.approx(2 if failing <= 1 else 1)
    assert decisions[0].status == ("improved" if failing <= 1 else "resolved")
    assert decisions[1].status == "improved"


def test_pain_38_answers_that_stop_coming_are_not_better() -> None:
    """12 fixed and 18 newly unscored of 100: resolved was said. If those had failed, it rose."""
    before = run(30)
    after: Outcomes = {k: None if int(k[1:]) >= 82 else 12 <= int(k[1:]) < 30 for k in before}
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups={},
        round=1,
        config=CONFIG,
    )[0]
    assert verdict.status == "missing answers"
    assert (verdict.fixed, verdict.lost, verdict.gained) == (12, 18, 0)
    assert "18 answers are unscored now" in verdict.note
    assert verdict.status not in CLAIMS
    failing_lost: Outcomes = {k: None if 12 <= int(k[1:]) < 30 else False for k in before}
    assert judge(before, failing_lost) == "improved"  # 12 are mended whatever the 18 say


def test_missing_answers_do_not_hide_a_fall_that_holds_without_them() -> None:
    before = run(60, 300)
    for lost, status in ((2, "resolved"), (20, "improved")):  # 20 lost may be 7 % that fail
        after: Outcomes = {k: None if int(k[1:]) >= 300 - lost else False for k in before}
        assert judge(before, after) == status


def test_one_unit_for_test_rate_and_delta() -> None:
    """16 lone items fixed, 4 groups of 8 broken: rate, Δ and test say the same direction."""
    before: Outcomes = {f"a{k}": True for k in range(16)}
    before |= {f"b{k}": False for k in range(32)}
    before |= {f"c{k}": k % 5 == 0 for k in range(40)}
    after: Outcomes = {**before, **{k: k[0] == "b" for k in before if k[0] in "ab"}}
    groups = {f"b{k}": f"g{k // 8}" for k in range(32)}
    verdict = judge_round(
        [Comparison(issue(), "base", "m1", before, after)],
        half=set(before),
        groups=groups,
        round=1,
        config=CONFIG,
    )[0]
    assert verdict.groups == 60
    assert verdict.delta == pytest.approx((16 - 4) / 60)
    assert verdict.before_rate - verdict.after_rate == pytest.approx(verdict.delta)
    assert verdict.low < verdict.delta < verdict.high
