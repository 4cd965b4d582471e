"""Several samples become one outcome in one way, whoever asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessed import assess
from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.find_issues import overall_issues
from residency.evaluate.suites.scores import summarise_scores
from residency.loop.item_outcomes import find_issue_outcomes
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.paired_outcomes import compare_paired
from residency.stats.sample_reducer import (
    Reduce,
    check_outcomes,
    item_outcomes,
    kind_outcomes,
    reduce_outcomes,
)

VOTES = st.lists(st.sampled_from([True, False, None]), max_size=7)


@given(VOTES)
def test_any_fails_at_least_as_often_as_majority_and_all_at_most(votes: list[bool | None]) -> None:
    every = [reduce_outcomes(votes, how) for how in ("all", "majority", "any")]
    if all(vote is None for vote in votes):
        assert every == [None, None, None]
    else:
        assert [bool(e) for e in every] == sorted(bool(e) for e in every)


@given(VOTES, st.randoms())
def test_unscored_answers_and_order_change_nothing(votes: list[bool | None], rng: object) -> None:
    mixed = [*votes, None, None]
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    for how in ("majority", "any", "all"):
        assert reduce_outcomes(mixed, how) == reduce_outcomes(votes, how)


def sampled(failing: int, model: str) -> tuple[list[Example], list[Response], list[Finding]]:
    """60 items of 3 samples, of which the first ``failing`` fail, as a suite's and a detector's."""
    examples = [Example((Message("user", f"q{i}"),), split="dev") for i in range(60)]
    responses = [Response(model, e.id, f"{e.id} {s}", sample=s) for e in examples for s in range(3)]
    findings = [
        Finding(r.id, kind, "fail" if r.sample < failing else "pass", detector, "1", severity=0.5)
        for r in responses
        for kind, detector in (("wrong", "suite:exact"), ("overlong", "overlong"))
    ]
    return examples, responses, findings


@pytest.mark.parametrize(("how", "before_rate"), [("majority", 0.0), ("any", 1.0), ("all", 0.0)])
def test_score_rate_issue_and_paired_table_count_the_same_items(
    how: Reduce, before_rate: float
) -> None:
    """One of three samples failing before and none after: every reader says the same."""
    examples, before, found = sampled(1, "m1")
    _, after, later = sampled(0, "m2")
    scores = summarise_scores(found, examples, before, reduce=how)
    assert scores.mean == 1 - before_rate
    assert scores.score.items == 60
    (issue,) = [
        i
        for i in overall_issues(found, model="m1", config=DiagnoseConfig())
        if i.kind == "overlong"
    ]
    then = find_issue_outcomes(issue, assess(examples, before, found, how))
    now = find_issue_outcomes(issue, assess(examples, after, later, how))
    assert sum(bool(bad) for bad in then.values()) == 60 * before_rate
    assert kind_outcomes(found, before, how)["overlong"] == then
    assert item_outcomes(found, before, how)["overlong", "overlong"] == then
    assert scores.kinds["overlong"].rate == before_rate
    assert scores.kinds["overlong"].scored == 60
    compared = compare_paired(then, now)
    assert (compared.counts.before_rate, compared.counts.after_rate) == (before_rate, 0.0)
    assert (compared.p_value < 0.05) == (before_rate > 0)


def test_two_findings_of_one_kind_are_two_checks_of_a_score_and_one_failure() -> None:
    response = Response("m", "e", "x")
    found = [Finding(response.id, "wrong", status, "suite:x", "1") for status in ("fail", "pass")]
    assert kind_outcomes(found, [response]) == {"wrong": {"e": True}}
    assert sorted(check_outcomes(found, [response])["e"].values()) == [False, True]
