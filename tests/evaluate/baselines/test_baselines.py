"""The baseline table and its recommendation, from answers that are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from residency.evaluate.baselines.baseline_report import Contender, Price
from residency.evaluate.baselines.compare_ways import compare_ways
from residency.evaluate.baselines.prompting import split_passages
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response


def rows(n: int) -> list[Example]:
    return [
        Example((Message("user", f"question {i}"), Message("assistant", "right")), group=f"g{i}")
        for i in range(n)
    ]


def contender(
    name: str,
    way: str,
    examples: Sequence[Example],
    right: Sequence[bool],
    **more: object,
) -> Contender:
    responses = [
        Response(
            name,
            e.id,
            "right" if ok else "wrong answer",
            token_ids=(1, 2) if ok else (1, 2, 3),
            prompt_tokens=40 if way == "fine-tuned" else 400,
            seconds=0.5,
        )
        for e, ok in zip(examples, right, strict=True)
    ]
    findings = grade_responses(load_suite(None), examples, responses)
    return Contender(name, way, responses, findings, **more)  # type: ignore[arg-type]


def test_a_clear_gain_is_recommended_with_what_it_rests_on() -> None:
    examples = rows(60)
    weak = contender("zero-shot prompt", "prompt", examples, [i % 4 == 0 for i in range(60)])
    strong = contender("few-shot prompt", "prompt", examples, [i % 2 == 0 for i in range(60)])
    tuned = contender(
        "fine-tuned", "fine-tuned", examples, [i % 10 != 0 for i in range(60)], latencies=[1, 1, 3]
    )
    report = compare_ways([weak, strong, tuned], examples)
    text = " ".join(report.recommendation)
    assert text.startswith("Fine-tune: fine-tuned is better than the best prompt (few-shot")
    assert "10.0 times shorter" in text
    assert "60 answers each on dev" in text
    (difference,) = [d for d in report.differences if d.better == "fine-tuned"]
    # Of two checks (not empty, exact) the second changes in 0.9 − 0.5 of the items.
    assert difference.mean == pytest.approx(0.2)
    assert 0 < difference.low < difference.mean < difference.high
    row = report.rows[2]
    assert (row.p50, row.p95) == (1.0, pytest.approx(2.8))
    assert row.tokens_per_1000 == pytest.approx(1000 * (40 + 2.1))
    assert row.scores.kinds["wrong"].rate == pytest.approx(0.1)


def test_an_endpoint_that_answered_half_is_compared_on_that_half_and_it_is_said() -> None:
    examples = rows(60)
    prompt = contender("zero-shot prompt", "prompt", examples, [i % 2 == 0 for i in range(60)])
    whole = contender("endpoint m", "endpoint", examples, [True] * 60)
    half = [
        replace(r, text="", finish="error") if i % 2 else r for i, r in enumerate(whole.responses)
    ]
    cut = replace(whole, responses=half, findings=grade_responses(load_suite(None), examples, half))
    full = " ".join(compare_ways([prompt, whole], examples).recommendation)
    assert "endpoint m is better than the best prompt (zero-shot prompt)" in full
    assert "on all 60 items, answered by both" in full and "60 answers each on dev" in full
    # The half that it answered is the half that the prompt gets right: nothing is better there.
    told = " ".join(compare_ways([prompt, cut], examples).recommendation)
    assert "endpoint m is not shown to differ from the best prompt" in told
    assert "on 30 of 60 items, answered by both" in told
    assert "60 answers each (but endpoint m 30) on dev" in told
    none = replace(
        whole, responses=[replace(r, finish="error") for r in whole.responses], findings=[]
    )
    told = " ".join(compare_ways([prompt, none], examples).recommendation)
    assert "endpoint m answered no item that zero-shot prompt answered" in told


def test_a_prompt_that_does_better_is_recommended() -> None:
    examples = rows(60)
    prompt = contender("zero-shot prompt", "prompt", examples, [True] * 60)
    tuned = contender("fine-tuned", "fine-tuned", examples, [i % 2 == 0 for i in range(60)])
    assert compare_ways([prompt, tuned], examples).recommendation[0].startswith("Do not fine-tune")


def test_a_small_difference_is_undecided_and_says_what_can_be_seen() -> None:
    examples = rows(20)
    prompt = contender("zero-shot prompt", "prompt", examples, [i % 3 == 0 for i in range(20)])
    tuned = contender("fine-tuned", "fine-tuned", examples, [i % 3 == 1 for i in range(20)])
    said = compare_ways([prompt, tuned], examples).recommendation[0]
    assert said.startswith("Undecided")
    assert "cannot be seen here" in said
    same = compare_ways(
        [prompt, contender("t", "fine-tuned", examples, [i % 3 == 0 for i in range(20)])], examples
    )
    assert same.recommendation[0].startswith("No difference")


def test_without_a_tuned_model_the_next_step_is_named() -> None:
    examples = rows(10)
    prompt = contender("zero-shot prompt", "prompt", examples, [False] * 10)
    said = compare_ways([prompt], examples).recommendation
    assert "it fails most in wrong (100 %)" in said[0]
    assert "residency run" in said[1]
    assert compare_ways([], examples).recommendation == (
        "There is no prompted baseline to compare with.",
    )


def test_cost_by_tokens_and_by_the_hour() -> None:
    examples = rows(4)
    by_token = contender(
        "e", "endpoint", examples, [True] * 4, price=Price(2.0, 10.0), leaves_machine=True
    )
    by_hour = contender("z", "prompt", examples, [True] * 4, price=Price(per_hour=3.6))
    free = contender("f", "prompt", examples, [True] * 4)
    report = compare_ways([by_hour, by_token, free], examples)
    costs = {row.name: row.cost_per_1000 for row in report.rows}
    assert costs["e"] == pytest.approx(1000 * (400 * 2 + 2 * 10) / 1e6)
    assert costs["z"] == pytest.approx(1000 * 0.5 / 3600 * 3.6)
    assert costs["f"] is None
    assert "e sends every prompt to another machine." in report.recommendation
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["rows"][1]["leaves_machine"]


def test_failed_requests_are_left_out_and_told() -> None:
    examples = rows(5)
    good = contender("zero-shot prompt", "prompt", examples, [True] * 5)
    broken = [*good.responses[:3], *(Response("e", e.id, "", finish="error") for e in examples[3:])]
    findings: list[Finding] = grade_responses(load_suite(None), examples, broken)
    endpoint = Contender("endpoint", "endpoint", broken, findings)
    report = compare_ways([good, endpoint], examples)
    assert report.rows[1].errors == 2
    assert report.rows[1].scores.score.scored_items == 3
    assert report.differences[0].n == 3
    assert "2 requests failed" in report.recommendation[-1]


def test_an_unscored_check_does_not_help_in_the_comparison() -> None:
    """An answer that cannot be judged is not compared on fewer checks than one that can."""
    examples = rows(30)
    good = contender("zero-shot prompt", "prompt", examples, [True] * 30)
    vague = [
        Finding(
            f.response, f.kind, "unscored" if f.kind == "wrong" else f.status, f.detector, f.version
        )
        for f in good.findings
    ]
    unclear = Contender("tuned", "fine-tuned", good.responses, vague)
    report = compare_ways([good, unclear], examples)
    assert report.differences[0].mean == pytest.approx(-0.5)


def test_documents_become_passages_of_whole_paragraphs() -> None:
    text = "one two three\n\nfour five\n\n" + "word " * 25
    assert split_passages(text, size=10) == [
        "one two three four five",
        "word " * 9 + "word",
        "word " * 9 + "word",
        "word " * 4 + "word",
    ]
    assert split_passages("  \n\n ") == []
