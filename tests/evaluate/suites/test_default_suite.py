"""Without a suite: what each kind of task is compared by, and that another row's answer does not pass."""

from __future__ import annotations

import json

import pytest

from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.primary_metric import choose_primary
from residency.evaluate.suites.reference_form import ReferenceForm, find_form
from residency.evaluate.suites.scores import summarise_scores
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

COUNT = 12
TASKS: dict[str, tuple[str, list[str]]] = {
    "labels": ("exact match", [["sport", "trade", "law"][n % 3] for n in range(COUNT)]),
    "queries": (
        "exact match",
        [f"SELECT a.name FROM a JOIN b ON a.id = b.a WHERE b.year = {n}" for n in range(COUNT)],
    ),
    "JSON": ("fields right", [json.dumps({"sum": n, "from": f"Ann {n}"}) for n in range(COUNT)]),
    "fields": ("fields right", [f"sum: {n}\nfrom: Ann {n}" for n in range(COUNT)]),
    "sums": (
        "answers that pass “numeric”",
        [f"{n} + 2 = {n + 2}\n#### {n + 2}" for n in range(COUNT)],
    ),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_counted_by_the_figure_that_people_mean(task: str) -> None:
    title, references = TASKS[task]
    rows = [
        Example((Message("user", f"q{n}"), Message("assistant", reference)), split="dev")
        for n, reference in enumerate(references)
    ]
    suite = load_suite(None)
    metric = choose_primary(suite, rows)
    assert metric.title == title

    def share(texts: list[str]) -> float | None:
        responses = [Response("m", row.id, text) for row, text in zip(rows, texts, strict=True)]
        findings = grade_responses(suite, rows, responses)
        primary = summarise_scores(findings, rows, responses, primary=metric).primary
        assert primary is not None and primary.scored_items == COUNT
        return primary.mean

    assert share(references) == 1.0
    assert share([f"```\n{reference}\n```" for reference in references]) == 1.0
    assert share([*references[1:], references[0]]) == 0.0
    assert share([""] * COUNT) == 0.0


def test_keys_of_json_may_stand_in_any_order() -> None:
    row = Example((Message("user", "q"), Message("assistant", '{"a": 1, "b": "x"}')), split="dev")
    response = Response("m", row.id, '{"b": "X", "a": 1.0}')
    findings = grade_responses(load_suite(None), [row], [response])
    assert {finding.status for finding in findings} == {"pass"}


@pytest.mark.parametrize(
    ("reference", "form"),
    [
        ('{"a": 1}', "json"),
        ('```json\n{"a": 1}\n```', "json"),
        ("[1, 2]", "text"),
        ("a: 1\nb: 2", "fields"),
        ("name: Ann\nreply: Dear Ann, we are sorry and will send you another one.", "text"),
        ("select count(*) from a", "query"),
        ("WITH t AS (SELECT 1) SELECT x FROM t;", "query"),
        ("Select the best of these from the list below, please.", "text"),
        ("Update your phone and set a new code.", "text"),
        ("He has 3 left. #### 3", "worked"),
        ("so $\\\\boxed{42}$.", "worked"),
        ("yes", "text"),
        ("", "text"),
    ],
)
def test_forms_of_references(reference: str, form: ReferenceForm) -> None:
    assert find_form(reference) == form
