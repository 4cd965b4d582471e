"""Where the answer stands in a response, whatever stands around it."""

from __future__ import annotations

from typing import Any

import pytest

from residency.evaluate.suites.closed_set import find_classes
from residency.evaluate.suites.extract_answer import AnswerExtraction, make_extraction
from residency.evaluate.suites.grade import grade_responses, read_judged
from residency.evaluate.suites.primary_metric import choose_primary
from residency.evaluate.suites.rule_registry import make_rule
from residency.evaluate.suites.scores import summarise_scores
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

CASES: list[tuple[Any, str, str | None]] = [
    ("last_number", "it costs 12 000 €", "12 000"),
    ("last_number", "x-3", "3"),
    ("last_number", "it is 3/4", "3/4"),
    ("last_number", "about .5", ".5"),
    ("last_number", "between 10-12", "12"),
    ("last_number", "H2O has 2 (see A4)", "2"),
    ("last_number", "٣٫٥", "٣٫٥"),
    ("last_number", "6.02×10^23", "6.02×10^23"),
    ("last_number", "7, since:\n1. it is odd", "7"),
    ("last_number", "18 million", "18 million"),
    ("last_number", "none", None),
    ("last_line", "a\u2028b", "b"),
    ("last_line", "```\nAnswer: b\n```", "Answer: b"),
    ("json", 'see [1]: {"a": 2} [2]', '{"a": 2}'),
    ("json", "[1]", "[1]"),
    ({"json": "answer"}, '[{"answer": "x"}]', "x"),
    ({"json": "answer"}, '{"Answer": "x"}', "x"),
    ({"json": "answer"}, '{"answer": "say \\"hi\\"\\nnow"}', 'say "hi"\nnow'),
    ({"json": "answer"}, '{"answer": "\\u00e4"}', "ä"),
    ({"json": "antw\u00f6rt"}, '{"antw\\u00f6rt": "x"}', "x"),
    ({"json": "result.answer"}, '{"result": {"answer": 5}}', "5"),
    ({"regex": r"Answer: (\w)|Choice: (\w)"}, "Choice: B", "B"),
    ({"json": "answer"}, '{"answer": 1, "answer": 2}', None),
    ({"json": "answer"}, '{"answer": 1, "answer": 1}', "1"),
    ({"json": "answer"}, '{"answer": "A", "sure": NaN}', "A"),
    ("last_line", "42\n\n---", "42"),
    ("last_line", "<answer>\n42\n</answer>", "42"),
    ({"json": "answer"}, '{"note": "\\"answer\\": 1", "answer": 2}', "2"),
]


@pytest.mark.parametrize(("way", "text", "answer"), CASES)
def test_the_answer_is_found(way: Any, text: str, answer: str | None) -> None:
    found = make_extraction(way, where="suite").find_answer(text)
    assert (found.text if found else None) == answer
    if found:
        assert 0 <= found.start <= found.end <= len(text)


def grade(
    extract: Any, rule: dict[str, Any], reference: str, answer: str
) -> tuple[Suite, Example, list[str]]:
    example = Example((Message("user", "q"), Message("assistant", reference)))
    suite = Suite(
        "s", (make_rule(rule, where="suite"),), extract=make_extraction(extract, where="suite")
    )
    findings = grade_responses(suite, [example], [Response("m", example.id, answer)])
    return suite, example, [finding.status for finding in findings]


@pytest.mark.parametrize(
    ("extract", "reference", "answer"),
    [
        ("last_number", "She has 3 left, and 15 more come. #### 18", "3 + 15 = 18"),
        ({"regex": "Answer: (.*)"}, "Since it rains. Answer: yes", "It is wet.\nAnswer: Yes"),
        ({"regex": "Answer: (.*)"}, "yes", "It is wet.\nAnswer: Yes"),
        ({"json": "answer"}, 'say "hi"', '{"answer": "say \\"hi\\""}'),
    ],
)
def test_a_worked_solution_as_reference_is_compared_by_its_answer(
    extract: Any, reference: str, answer: str
) -> None:
    assert grade(extract, {"rule": "exact"}, reference, answer)[2] == ["pass"]
    assert grade(extract, {"rule": "exact"}, reference, answer + " 7 Answer: 9")[2] != ["pass"] or (
        isinstance(extract, dict) and "json" in extract
    )


def test_a_reference_that_reasons_is_read_like_an_answer() -> None:
    example = Example((Message("user", "q"), Message("assistant", "<think>hm</think>\nParis")))
    suite = Suite("s", (make_rule({"rule": "exact"}, where="suite"),))
    for text in ("<think>well</think>Paris", "Paris"):
        found = grade_responses(suite, [example], [Response("m", example.id, text)])
        assert [finding.status for finding in found] == ["pass"]


def test_confusion_counts_what_the_metric_counts() -> None:
    """Extracted answers, errors of the server, several samples: accuracy is the primary metric."""
    rule = make_rule({"rule": "choices", "choices": ["yes", "no"]}, where="suite")
    suite = Suite("s", (rule,), extract=make_extraction({"regex": "Answer: (.*)"}, where="suite"))
    rows = [
        Example((Message("user", f"q{n}"), Message("assistant", "yes" if n % 2 else "no")))
        for n in range(6)
    ]
    said = [("no",), ("no", "yes", "yes"), ("no", "yes"), ("maybe",), ("no",), ()]
    responses = [
        Response("m", row.id, f"I think.\nAnswer: {text}", sample=sample)
        for row, texts in zip(rows, said, strict=True)
        for sample, text in enumerate(texts)
    ]
    responses.append(Response("m", rows[5].id, "", finish="error", error="HTTP 500"))
    scores = summarise_scores(
        grade_responses(suite, rows, responses),
        rows,
        responses,
        primary=choose_primary(suite, rows),
        classes=find_classes(suite, rows),
        read=lambda example, response: read_judged(suite, example, response),
    )
    assert scores.primary is not None and scores.closed_set is not None
    assert scores.primary.scored_items == scores.closed_set.items == 5
    assert scores.primary.mean == scores.closed_set.accuracy == 3 / 5


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is 42, not 41.", "42"),
        ("It is not 41 but 42.", "42"),
        ("It is not 42.", None),
        ("It is forty-two.", "forty-two"),
        ("Es sind zweiundvierzig", "zweiundvierzig"),
        ("I do not know", None),
    ],
)
def test_the_last_number_is_one_that_the_answer_gives(text: str, answer: str | None) -> None:
    found = AnswerExtraction("last_number").find_answer(text)
    assert (found.text if found else None) == answer
