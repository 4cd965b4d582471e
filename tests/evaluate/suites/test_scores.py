"""Figures from findings: scores, rates, intervals, coverage."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from residency.evaluate.suites.scores import summarise_scores
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding, Status
from residency.nouns.response import Response
from residency.stats.intervals import clopper_pearson, mean_interval, rate_interval


def rows(n: int, **more: object) -> list[Example]:
    return [Example((Message("user", f"q{i}"),), **more) for i in range(n)]  # type: ignore[arg-type]


def finding(response: Response, kind: str, status: Status, detector: str = "suite:x") -> Finding:
    return Finding(response.id, kind, status, detector, "1")


def test_a_score_is_the_share_of_scored_checks_that_passed() -> None:
    examples = rows(3)
    r = [Response("m", e.id, "x") for e in examples]
    found = [
        finding(r[0], "a", "pass"),
        finding(r[0], "b", "fail"),
        finding(r[0], "c", "unscored"),
        finding(r[1], "a", "pass"),
        finding(r[1], "b", "unscored"),
        finding(r[2], "a", "unscored"),
        finding(r[1], "overlong", "fail", "overlong"),  # another detector: a rate, no score
    ]
    scores = summarise_scores(found, examples, r)
    assert scores.by_item == {r[0].id: 0.5, r[1].id: 1.0, r[2].id: None}
    assert scores.mean == pytest.approx(0.75)
    assert scores.score.floor == pytest.approx((1 / 3 + 1 / 2 + 0) / 3)
    assert (scores.score.items, scores.score.scored_items) == (3, 2)
    assert scores.score.coverage == pytest.approx(3 / 6)
    assert scores.kinds["a"].rate == 0.0
    assert (scores.kinds["a"].scored, scores.kinds["a"].total) == (2, 3)
    assert scores.kinds["b"].rate == 1.0
    assert scores.kinds["c"].rate is None
    assert scores.kinds["overlong"].failed == 1
    chosen = summarise_scores(found, examples, r, score_kinds={"overlong"})
    assert chosen.mean == 0.0


def test_nothing_scored_is_no_score() -> None:
    examples = rows(2)
    r = [Response("m", e.id, "x") for e in examples]
    scores = summarise_scores([finding(x, "a", "unscored") for x in r], examples, r)
    assert scores.score.mean is None
    assert scores.score.coverage == 0
    assert summarise_scores([], [], []).score.mean is None
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["score"]["mean"] is None


def test_slices_by_tag() -> None:
    examples = rows(6, tags=("even",))[:6:2] + rows(6, tags=("odd",))[1::2]
    r = [Response("m", e.id, "x") for e in examples]
    found = [finding(x, "a", "pass" if i < 3 else "fail") for i, x in enumerate(r)]
    scores = summarise_scores(found, examples, r, min_slice=3)
    assert scores.slices["even"][0].mean == 1.0
    assert scores.slices["odd"][1]["a"].rate == 1.0
    assert summarise_scores(found, examples, r, min_slice=4).slices == {}


def test_another_models_findings_are_left_out() -> None:
    (e,) = rows(1)
    mine, theirs = Response("m", e.id, "x"), Response("n", e.id, "x")
    scores = summarise_scores(
        [finding(mine, "a", "pass"), finding(theirs, "a", "fail")], [e], [mine]
    )
    assert scores.kinds["a"].rate == 0.0


def test_the_order_of_findings_does_not_matter() -> None:
    examples = rows(20, tags=("t",))
    r = [Response("m", e.id, "x") for e in examples]
    found = [finding(x, k, "fail" if i % 3 else "pass") for i, x in enumerate(r) for k in "ab"]
    assert summarise_scores(found, examples, r) == summarise_scores(found[::-1], examples, r)


@pytest.mark.parametrize(("events", "n"), [(0, 10), (10, 10), (3, 10), (1, 200), (150, 300)])
def test_clopper_pearson_is_exact(events: int, n: int) -> None:
    low, high = clopper_pearson(events, n)
    expected = stats.binomtest(events, n).proportion_ci(0.95, "exact")
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_rates_of_independent_items_are_exact() -> None:
    failed = [True] * 3 + [False] * 17
    assert rate_interval(failed, list(range(20))) == clopper_pearson(3, 20)
    assert rate_interval([], []) == (0.0, 1.0)


def test_groups_widen_the_interval() -> None:
    failed = [True] * 30 + [False] * 70
    alone = rate_interval(failed, list(range(100)))
    in_tens = rate_interval(failed, [i // 10 for i in range(100)])
    assert in_tens[0] < alone[0] < alone[1] < in_tens[1]
    # Ten identical copies of ten items know no more than the ten.
    assert rate_interval([False] * 100, [i // 10 for i in range(100)]) == clopper_pearson(0, 10)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_grouped_intervals_hold_their_level(p: float) -> None:
    """40 groups of 5, half of the items' variance shared: at least 93 of 100 intervals cover."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        shared = rng.random(40) < p
        own = rng.random((40, 5)) < p
        follows = rng.random((40, 5)) < 0.7
        failed = np.where(follows, shared[:, None], own)
        low, high = rate_interval(failed.ravel().tolist(), np.repeat(np.arange(40), 5).tolist())
        covered += low <= p <= high
    assert covered / 400 >= 0.93


def test_the_mean_interval_holds_its_level() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        group_mean = rng.beta(4, 2, 60)
        values = np.clip(group_mean[:, None] + rng.normal(0, 0.05, (60, 3)), 0, 1)
        low, high = mean_interval(values.ravel().tolist(), np.repeat(np.arange(60), 3).tolist())
        covered += low <= 2 / 3 <= high
    assert covered / 300 >= 0.90
    assert mean_interval([0.1, 0.9, 0.4], "abc") == mean_interval([0.1, 0.9, 0.4], "abc")
    assert mean_interval([0.5], "a") == (-math.inf, math.inf)


def test_repeated_samples_count_as_one_group() -> None:
    examples = rows(5)
    once = [Response("m", e.id, "x") for e in examples]
    thrice = [Response("m", e.id, "x", sample=i) for e in examples for i in range(3)]
    a = summarise_scores([finding(x, "a", "pass") for x in once], examples, once)
    b = summarise_scores([finding(x, "a", "pass") for x in thrice], examples, thrice)
    assert a.kinds["a"].high == b.kinds["a"].high
