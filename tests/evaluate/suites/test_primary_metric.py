"""The one figure that models are compared by, and what it says of answers that were not judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from residency.errors import SuiteError
from residency.evaluate.arena.rule_votes import JudgedSide, drop_cut_winners, vote_on_items
from residency.evaluate.arena.votes import Vote
from residency.evaluate.suites.closed_set import OTHER, find_classes, measure_closed_set
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.primary_metric import choose_primary
from residency.evaluate.suites.primary_score import compare_primary
from residency.evaluate.suites.scores import Scores, summarise_scores
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import FinishReason, Response
from residency.results.change_figures import PrimaryChange
from residency.results.stored_figures import read_figures


def example(number: int, reference: str) -> Example:
    return Example((Message("user", f"q{number}"), Message("assistant", reference)), split="dev")


def read_suite(tmp_path: Path, *rows: dict[str, Any]) -> Suite:
    path = tmp_path / "suite.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return load_suite(path)


def score(
    suite: Suite,
    examples: Sequence[Example],
    texts: Sequence[str],
    finish: Sequence[FinishReason] = (),
    more: Sequence[Finding] = (),
) -> tuple[Scores, list[Response], list[Finding]]:
    ends = finish or ["stop"] * len(texts)
    responses = [
        Response("m", e.id, t, finish=f) for e, t, f in zip(examples, texts, ends, strict=False)
    ]
    findings = grade_responses(suite, examples, responses) + list(more)
    return (
        summarise_scores(
            findings,
            examples,
            responses,
            primary=choose_primary(suite, examples),
            classes=find_classes(suite, examples),
        ),
        responses,
        findings,
    )


def primary_of(scores: Scores) -> tuple[str, float | None]:
    assert scores.primary is not None
    return scores.primary.title, scores.primary.mean


def test_pain_40_a_task_of_classes_is_counted_by_accuracy_and_drifting_out_of_the_set_is_wrong(
    tmp_path: Path,
) -> None:
    suite = read_suite(tmp_path, {"rule": "choices", "choices": ["A", "B", "C"]})
    examples = [example(i, "AAAABBC"[i]) for i in range(7)]
    scores, _, _ = score(suite, examples, ["A", "A", "maybe", "B", "B", "A", "C"])
    assert primary_of(scores) == ("accuracy", pytest.approx(4 / 7))
    assert scores.score.mean != pytest.approx(4 / 7)  # the share of checks says something else
    closed = scores.closed_set
    assert closed is not None
    assert closed.accuracy == pytest.approx(4 / 7)
    assert (closed.majority, closed.majority_share) == ("a", pytest.approx(4 / 7))
    assert closed.confusion["a"] == {"a": 2, OTHER: 1, "b": 1}
    # By hand: F1 of A = 2·2/(3 + 4), of B = 2·1/(2 + 2), of C = 1.
    assert closed.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 1) / 3)


def test_macro_f1_is_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    names = ["x", "y", "z"]
    wanted = [names[i % 3] for i in range(30)]
    given = [names[(i * i) % 3] for i in range(30)]
    found = measure_closed_set(names, dict(enumerate_text(wanted)), dict(enumerate_text(given)))
    assert found is not None
    assert found.macro_f1 == pytest.approx(f1_score(wanted, given, average="macro"))


def enumerate_text(values: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(i), value) for i, value in enumerate(values)]


def test_pain_40_short_references_are_counted_by_exact_match_and_long_ones_by_answers_without_a_fault(
    tmp_path: Path,
) -> None:
    short = [example(i, f"SELECT {i} FROM t") for i in range(4)]
    scores, _, _ = score(load_suite(None), short, ["SELECT 0 FROM t", "x", "y", "z"])
    assert primary_of(scores) == ("exact match", 0.25)
    rows = [{"rule": "length", "max": 50}]
    long = [example(i, "word " * 20) for i in range(2)]
    suite = read_suite(tmp_path, *rows)
    _, responses, _ = score(suite, long, ["fine", "fine fine fine"])
    repetition = Finding(responses[1].id, "repetition", "fail", "repetition", "1")
    scores, _, _ = score(suite, long, ["fine", "fine fine fine"], more=[repetition])
    assert primary_of(scores) == ("answers without any fault", 0.5)
    assert scores.score.mean == 1.0  # no check of the suite failed: detectors count all the same


def test_a_detector_alone_does_not_make_an_answer_right(tmp_path: Path) -> None:
    suite = read_suite(tmp_path, {"rule": "language", "language": "en"})
    items = [example(0, "a")]
    _, (response,), _ = score(suite, items, ["ok"])
    fine = Finding(response.id, "repetition", "pass", "repetition", "1")
    scores, _, _ = score(suite, items, ["ok"], more=[fine])
    assert scores.primary is not None
    assert (scores.primary.mean, scores.primary.coverage) == (None, 0.0)


def test_fields_count_by_the_share_that_is_right_and_a_missing_one_is_wrong(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(6)]
    suite = read_suite(tmp_path, {"rule": "fields", "fields": names})
    reference = "\n".join(f"{name}: x" for name in names)
    items = [example(0, reference)]
    half = "\n".join(f"{name}: {'x' if i < 3 else 'y'}" for i, name in enumerate(names))
    scores, _, _ = score(suite, items, [half])
    assert primary_of(scores) == ("fields right", 0.5)
    two, _, _ = score(suite, items, ["f0: x\nf1: x"])  # writing less does not help
    assert primary_of(two) == ("fields right", pytest.approx(2 / 6))


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("checks", "checks passed"),
        ("faultless", "answers without any fault"),
        ("brief", "answers that pass “brief”"),
        ("exact", "exact match"),
    ],
)
def test_pain_40_a_suite_may_name_its_metric(tmp_path: Path, name: str, title: str) -> None:
    rules = [{"rule": "exact"}, {"rule": "length", "max": 3, "name": "brief"}]
    suite = read_suite(tmp_path, {"primary": name}, *rules)
    assert choose_primary(suite, []).title == title
    assert suite.hash != read_suite(tmp_path, *rules).hash  # it decides which model is best
    with pytest.raises(SuiteError, match=r"no metric.*did you mean 'exact'"):
        read_suite(tmp_path, {"primary": "exakt"}, *rules)


LONG = "The kettle leaks because the seal at the bottom of its jug is worn out by now."


def test_pain_38_cut_answers_never_win(tmp_path: Path) -> None:
    """Twelve answers cut inside their reasoning against twelve complete wrong ones."""
    suite = read_suite(tmp_path, {"rule": "non_empty"}, {"rule": "contains", "reference": True})
    items = [example(i, LONG) for i in range(12)]
    cut, cut_answers, cut_found = score(suite, items, ["<think>let me"] * 12, ["length"] * 12)
    wrong, wrong_answers, wrong_found = score(suite, items, ["Bananas are yellow."] * 12)
    assert cut.score.mean == 0.0
    assert primary_of(cut)[1] == 0.0
    assert cut.score.mean < (wrong.score.mean or 0)
    sides = [
        JudgedSide(answers, answers, found, s.primary.by_example if s.primary else {})
        for s, answers, found in (
            (cut, cut_answers, cut_found),
            (wrong, wrong_answers, wrong_found),
        )
    ]
    assert {vote.outcome for vote in vote_on_items(*sides)} == {"b"}
    assert {vote.outcome for vote in vote_on_items(*sides[::-1])} == {"a"}
    old = Vote("p", "m", "n", "a", "rules", response_a=cut_answers[0].id)
    person = Vote("p", "m", "n", "a", "ann", response_a=cut_answers[0].id)
    assert drop_cut_winners([old, person], {cut_answers[0].id}) == [person]


def test_votes_compare_what_both_were_judged_by() -> None:
    def finding(response: Response, kind: str, status: Any) -> Finding:
        return Finding(response.id, kind, status, f"suite:{kind}", "1")

    items = [example(i, "x") for i in range(4)]
    a = [Response("x", e.id, "a") for e in items]
    b = [Response("y", e.id, "b") for e in items]
    found_a = [finding(r, "one", "pass") for r in a]
    found_b = [finding(r, "one", "pass") for r in b]
    found_a += [finding(a[0], "two", "unscored"), finding(a[1], "two", "pass")]
    found_b += [finding(b[0], "two", "fail"), finding(b[1], "two", "fail")]
    nothing: dict[str, float | None] = {e.id: None for e in items}
    first = JudgedSide(a, a, found_a, nothing)
    second = JudgedSide(b, b, found_b, nothing | {items[3].id: 1.0})
    votes = vote_on_items(first, second)
    assert [vote.outcome for vote in votes] == ["tie", "a", "tie", "tie"]
    assert "1 and 1 of 1 checks" in votes[0].note


def test_a_reference_outside_the_choices_can_be_met_by_nothing(tmp_path: Path) -> None:
    suite = read_suite(tmp_path, {"rule": "choices", "choices": ["yes", "no"]})
    items = [example(i, label) for i, label in enumerate(["yes", "no", "Maybe", "maybe"])]
    given = ["Yes.", "yes or no", "maybe", "perhaps"]
    scores, _, _ = score(suite, items, given)
    closed = measure_closed_set(
        find_classes(suite, items),
        {item.id: item.reference or "" for item in items},
        {item.id: [text] for item, text in zip(items, given, strict=True)},
    )
    assert closed is not None
    assert closed.accuracy == primary_of(scores)[1] == 0.25  # an answer outside the set is wrong
    assert closed.confusion["maybe"] == {OTHER: 2}
    assert closed.confusion["no"] == {OTHER: 1}


def test_a_vote_of_several_samples_names_the_winners_best_and_the_losers_worst() -> None:
    def finding(response: Response, status: Any) -> Finding:
        return Finding(response.id, "one", status, "suite:one", "1")

    item = example(0, "x")
    a = [Response("x", item.id, text, sample=i) for i, text in enumerate(["wrong", "right", "too"])]
    b = [
        Response("y", item.id, "wrong", sample=0),
        Response("y", item.id, "right", sample=1),
        Response("y", item.id, "ri", sample=2, finish="length"),
    ]
    judged_a = [finding(a[0], "fail"), finding(a[1], "pass"), finding(a[2], "pass")]
    judged_b = [finding(b[0], "fail"), finding(b[1], "pass"), finding(b[2], "pass")]
    sides = [
        JudgedSide(a[:1], a, judged_a, {item.id: 2 / 3}),
        JudgedSide(b[:1], b, judged_b, {item.id: 1 / 3}),
    ]
    for first, second, outcome in ((*sides, "a"), (*sides[::-1], "b")):
        (vote,) = vote_on_items(first, second)
        assert vote.outcome == outcome
        named = (vote.response_a, vote.response_b)[:: 1 if outcome == "a" else -1]
        assert named[0] in (a[1].id, a[2].id)  # not the wrong one that people are shown
        assert named[1] == b[2].id


def test_what_is_unscored_wins_against_nothing() -> None:
    item = example(0, "x")
    whole, cut = Response("x", item.id, "a"), Response("y", item.id, "b", finish="length")
    unscored = [Finding(whole.id, "one", "unscored", "suite:one", "1")]
    first = JudgedSide([whole], [whole], unscored, {item.id: None})
    second = JudgedSide([cut], [cut], [], {item.id: 0.0})
    assert vote_on_items(first, second) == []
    passed = [Finding(whole.id, "one", "pass", "suite:one", "1")]
    judged = JudgedSide([whole], [whole], passed, {item.id: None})
    assert [vote.outcome for vote in vote_on_items(judged, second)] == ["a"]


def test_pain_38_requests_that_failed_count_against_the_coverage(tmp_path: Path) -> None:
    suite = read_suite(tmp_path, {"rule": "exact"})
    items = [example(i, "x") for i in range(12)]
    scores, _, _ = score(suite, items, ["x"] * 8)  # four have no answer
    assert (scores.score.mean, scores.score.items, scores.score.missing) == (1.0, 12, 4)
    assert scores.score.coverage == pytest.approx(8 / 12)
    assert scores.score.floor == pytest.approx(8 / 12)
    assert scores.primary is not None
    assert scores.primary.coverage == pytest.approx(8 / 12)
    assert scores.primary.floor == pytest.approx(8 / 12)
    whole, _, _ = score(suite, items, ["x"] * 7 + ["y"] * 5)
    change = compare_primary(scores.primary, whole.primary, {})
    assert change is not None
    assert (change["n"], change["one_sided"]) == (8, 4)
    assert change["worst"] <= change["delta"] <= change["best"]


@pytest.mark.parametrize("lost", [0, 3, 8])
def test_a_change_is_over_the_items_judged_on_both_sides(tmp_path: Path, lost: int) -> None:
    """The later model answers the hard items with errors: its mean rises, and nothing is claimed."""
    suite = read_suite(tmp_path, {"rule": "exact"})
    rows = [example(n, "yes") for n in range(24)]
    texts = ["no"] * lost + ["yes"] * (24 - lost)
    before, _, _ = score(suite, rows, texts)
    after, _, _ = score(suite, rows, texts, ["error"] * lost + ["stop"] * (24 - lost))
    change = compare_primary(before.primary, after.primary, {})
    assert change is not None
    assert change["n"] == 24 - lost and change["one_sided"] == lost
    assert change["after"] - change["before"] == pytest.approx(change["delta"]) == 0
    figures = read_figures(PrimaryChange, change)
    assert not figures.is_better and not figures.is_worse
    assert figures.before == figures.after == 1.0
