"""Votes and blind review: nothing leaks, nothing is lost, votes become data again."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import krippendorff
import numpy as np
import pytest

from residency.evaluate.arena.review import MASK, Review, pair_up
from residency.evaluate.arena.votes import (
    Vote,
    preference_pairs,
    preference_row,
    rater_agreement,
    select_counted_votes,
    self_consistency,
    win_rate,
)
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

SECRET = ("m-base", "m-tuned", "SuperModel")


def example(i: int) -> Example:
    return Example((Message("user", f"question {i}"), Message("assistant", "reference")))


def pairs(n: int, *, same: int = 0) -> list[tuple[Example, Response, Response]]:
    out = []
    for i in range(n):
        e = example(i)
        left = f"I am SuperModel, answer {i} of the first"
        right = left if i < same else f"answer {i} of the second"
        out.append((e, Response(SECRET[0], e.id, left), Response(SECRET[1], e.id, right)))
    return out


def vote(outcome: str, prompt: str = "p", rater: str = "r", **more: object) -> Vote:
    return Vote(prompt, "x", "y", outcome, rater, **more)  # type: ignore[arg-type]


def test_pain_30_nothing_shown_names_a_model() -> None:
    review = Review(pairs(40), "ann", names=SECRET, seed=1)
    for showing in review:
        shown = json.dumps(dataclasses.asdict(showing))
        assert not any(name.lower() in shown.lower() for name in SECRET)
    assert any(MASK in s.left + s.right for s in review)


def test_pain_30_the_side_tells_nothing() -> None:
    """Over many showings each model stands left about half of the time, for each rater anew."""
    items = pairs(400)
    sides = {}
    for rater in ("ann", "bob"):
        review = Review(items, rater, repeats=0)
        votes = [review.vote(s.key, "left") for s in review]
        sides[rater] = {v.prompt: v.left for v in votes}
        assert 150 < sum(v.left == "a" for v in votes) < 250
        assert all((v.outcome == "a") == (v.left == "a") for v in votes)
    differing = sum(sides["ann"][p] != sides["bob"][p] for p in sides["ann"])
    assert 150 < differing < 250


def test_answers_mean_the_model_on_that_side() -> None:
    items = pairs(30)
    review = Review(items, "ann", repeats=0)
    first = {e.id: a.text for e, a, _ in items}
    for showing in review:
        left = review.vote(showing.key, "left")
        right = review.vote(showing.key, "right")
        assert (left.outcome == "a") == (showing.left == first[left.prompt])
        assert {left.outcome, right.outcome} == {"a", "b"}
        assert review.vote(showing.key, "tie").outcome == "tie"
        assert review.vote(showing.key, "skip").outcome == "skip"
    with pytest.raises(KeyError):
        review.vote("show-unknown", "left")


def test_a_cut_session_goes_on_with_the_same_showings() -> None:
    items = pairs(20)
    whole = list(Review(items, "ann", seed=3))
    first = Review(items, "ann", seed=3)
    done = [first.vote(s.key, "left") for s in list(first)[:7]]
    again = list(Review(items, "ann", seed=3, done=done))
    assert again == whole[7:]
    assert len(Review(items, "bob", seed=3, done=done)) == len(whole)  # another rater sees all
    everything = [first.vote(s.key, "tie") for s in first]
    assert len(Review(items, "ann", seed=3, done=everything)) == 0


def test_repeats_come_after_all_first_showings_and_measure_consistency() -> None:
    review = Review(pairs(20), "ann", repeats=0.25)
    votes = [review.vote(s.key, "left") for s in review]
    assert [v.repeat for v in votes] == [0] * 20 + [1] * 5
    # Always choosing the left side is consistent only where the side was the same again.
    same = {v.prompt: v.left for v in votes if v.repeat == 0}
    expected = sum(same[v.prompt] == v.left for v in votes if v.repeat)
    assert self_consistency(votes) == (expected, 5)
    assert len(select_counted_votes(votes)) == 20


def test_equal_texts_are_ties_without_being_shown() -> None:
    review = Review(pairs(10, same=4), "ann", repeats=0)
    assert len(review) == 6
    assert [v.outcome for v in review.automatic] == ["tie"] * 4
    assert Review(pairs(10, same=4), "bob", done=review.automatic).automatic == []


def test_pairs_meet_on_the_same_example_and_sample() -> None:
    e = example(0)
    a = [Response("x", e.id, "1"), Response("x", e.id, "2", sample=1)]
    b = [Response("y", e.id, "3"), Response("y", e.id, "", sample=1, finish="error")]
    assert pair_up({e.id: e}, a, b) == [(e, a[0], b[0])]


def test_one_showing_counts_once_and_skips_never() -> None:
    votes = [vote("a"), vote("b"), vote("skip", "q"), vote("tie", "z", repeat=1)]
    assert [v.outcome for v in select_counted_votes(votes)] == ["a"]
    assert Vote.from_dict({**votes[0].to_dict(), "at": "2026"}) == votes[0]
    with pytest.raises(ValueError, match="skipped"):
        _ = votes[2].score


def test_win_rate_counts_ties_as_half() -> None:
    votes = [vote(o, f"p{i}") for i, o in enumerate(["a", "a", "b", "tie"])]
    mine = win_rate(votes, "x", "y")
    theirs = win_rate(votes, "y", "x")
    assert mine is not None
    assert theirs is not None
    assert (mine.rate, mine.wins, mine.losses, mine.ties, mine.n) == (0.625, 2, 1, 1, 4)
    assert mine.rate + theirs.rate == pytest.approx(1)
    scores = np.array([1, 1, 0, 0.5])
    assert mine.standard_error == pytest.approx(scores.std(ddof=1) / 2)
    assert 0 <= mine.low <= mine.rate <= mine.high <= 1
    assert win_rate(votes, "x", "z") is None


def test_rater_agreement_is_krippendorffs_alpha() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(["a", "b", "tie"], 40)
    votes, table = [], np.full((3, 40), np.nan)
    code = {"a": 0, "tie": 1, "b": 2}
    for rater in range(3):
        for i in range(40):
            if rng.random() < 0.2:
                votes.append(vote("skip", f"p{i}", f"r{rater}"))
                continue
            said = str(truth[i] if rng.random() < 0.7 else rng.choice(["a", "b", "tie"]))
            votes.append(vote(said, f"p{i}", f"r{rater}"))
            table[rater, i] = code[said]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    found = rater_agreement(votes)
    assert found == pytest.approx(expected)
    assert rater_agreement([v for v in votes if v.rater == "r0"]) is None  # nobody to agree with
    assert rater_agreement([vote("a", rater="r"), vote("a", rater="s")]) is None
    perfect = [vote(o, f"p{i}", r) for i, o in enumerate("abab") for r in "rs"]
    assert rater_agreement(perfect) == pytest.approx(1)


def test_votes_become_preference_pairs() -> None:
    items = pairs(4)
    texts = {r.id: r.text for _, a, b in items for r in (a, b)}
    outcomes = [["a", "a", "b"], ["b", "b", "b"], ["a", "b", "tie"], ["tie", "tie", "tie"]]
    votes = [
        Vote(e.id, a.model, b.model, o, f"r{k}", response_a=a.id, response_b=b.id)  # type: ignore[arg-type]
        for (e, a, b), said in zip(items, outcomes, strict=True)
        for k, o in enumerate(said)
    ]
    made = preference_pairs(votes, {e.id: e for e, _, _ in items}, texts)
    assert len(made) == 2  # one by majority, one unanimous; the draws give none
    assert (made[0].reference, made[0].rejected) == (items[0][1].text, items[0][2].text)
    assert (made[1].reference, made[1].rejected) == (items[1][2].text, items[1][1].text)
    assert "r0,r1,r2" in made[0].why
    row = preference_row(made[0])
    assert json.loads(json.dumps(row))["chosen"][0]["content"] == items[0][1].text
    assert Counter(m["role"] for m in row["prompt"]) == {"user": 1}


def test_no_pair_prefers_a_cut_or_empty_answer() -> None:
    items = pairs(3)
    texts = {r.id: r.text for _, a, b in items for r in (a, b)}
    texts[items[2][1].id] = " \n"
    votes = [
        Vote(e.id, a.model, b.model, "a", rater, response_a=a.id, response_b=b.id)
        for e, a, b in items
        for rater in ("ann", "judge:j", "rules")
    ]
    examples = {e.id: e for e, _, _ in items}
    made = preference_pairs(votes, examples, texts, incomplete={items[0][1].id, items[1][2].id})
    assert [pair.reference for pair in made] == [items[1][1].text]  # the other may be rejected
    assert made[0].rejected == items[1][2].text
