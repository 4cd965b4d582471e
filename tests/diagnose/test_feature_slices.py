"""Issues that say where: classes, field values, words; causes in place of umbrellas."""

from __future__ import annotations

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.feature_slices import slice_by_features
from residency.diagnose.find_issues import find_issues
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.response import Response

SUBJECTS = ("biology", "economics", "history", "physics")


def ask(prompt: str, answer: str, split: str = "dev") -> Example:
    turns = (Message("user", prompt), Message("assistant", answer))
    return Example(turns, split=split)  # type: ignore[arg-type]


def look(
    examples: list[Example], answers: list[str], failing: dict[str, list[bool]]
) -> list[Issue]:
    responses = [Response("m", e.id, text) for e, text in zip(examples, answers, strict=True)]
    findings = [
        Finding(r.id, kind, "fail" if bad else "pass", "suite:exact", "1", severity=0.5)
        for kind, each in failing.items()
        for r, bad in zip(responses, each, strict=True)
    ]
    return find_issues(
        examples,
        findings,
        responses,
        half={e.id for e in examples},
        model="m",
        round=0,
        config=DiagnoseConfig(),
        slices=slice_by_features(examples),
    )


def test_one_class_wrong_throughout_is_named_with_what_it_is_taken_for() -> None:
    """One class wrong in 27 of 27, another in 4 of 26: not “wrong, all” alone."""
    examples = [ask(f"Question {i} of the exam?", SUBJECTS[i % 4]) for i in range(108)]
    right = [SUBJECTS[i % 4] for i in range(108)]
    answers = ["economics" if s == "biology" else s for s in right]
    for i in (2, 6, 10, 14):
        answers[i] = "physics"
    issues = look(
        examples, answers, {"wrong": [a != b for a, b in zip(answers, right, strict=True)]}
    )
    titles = [issue.title for issue in issues]
    assert "wrong where answer = biology (answered economics)" in titles
    assert not any("history" in title for title in titles)
    assert len(issues) <= 12


def test_field_values_and_words_of_the_prompt_are_slices_on_every_split() -> None:
    dev = [
        ask(
            f"Item {i}: the {'refund for' if i % 4 == 0 else 'parcel of'} number {i}",
            f"urgency: {'high' if i % 2 else 'low'}\nnote: {i}",
        )
        for i in range(60)
    ]
    test = [ask("Another refund for you", "urgency: high\nnote: x", "test")]
    slices = {s.value: s for s in slice_by_features(dev, also=test)}
    assert slices["urgency = high"].contains(test[0])
    assert slices["“refund for”"].contains(test[0])
    assert not any(value.startswith("note") for value in slices)  # never twice the same
    assert sum(slices["“refund for”"].contains(e) for e in dev) == 15


def test_a_word_of_the_prompt_that_brings_failures_becomes_an_issue() -> None:
    examples = [
        ask(f"{'Cancel the' if i % 4 == 0 else 'Change an'} order {i}", f"done {i}")
        for i in range(120)
    ]
    failing = [i % 4 == 0 for i in range(120)]
    issues = look(examples, [f"x {i}" for i in range(120)], {"wrong": failing})
    assert any("cancel" in issue.title for issue in issues)


def test_noise_makes_no_slice_an_issue() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    made = 0
    for _ in range(10):
        words = rng.choice(["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"], (120, 5))
        examples = [
            ask(" ".join(row) + f" {i}", SUBJECTS[i % 4]) for i, row in enumerate(words.tolist())
        ]
        failing = (rng.random(120) < 0.3).tolist()
        issues = look(examples, ["x"] * 120, {"wrong": failing})
        made += sum(issue.slice.by != "all" for issue in issues)
    assert made <= 2


def test_a_kind_does_not_stand_beside_its_own_causes() -> None:
    examples = [ask(f"Query {i}", f"select {i} from a long table of rows") for i in range(60)]
    column = [i % 3 == 0 for i in range(60)]
    condition = [i % 4 == 1 for i in range(60)]
    wrong = [a or b for a, b in zip(column, condition, strict=True)]
    issues = look(
        examples,
        ["x"] * 60,
        {"wrong": wrong, "wrong:column": column, "wrong:condition": condition},
    )
    assert {issue.kind for issue in issues if issue.slice.by == "all"} == {
        "wrong:column",
        "wrong:condition",
    }
