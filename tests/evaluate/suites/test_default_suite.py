"""Without a suite: what each kind of task is compared by, and that another row's answer does not pass."""

from __future__ import annotations

import json

import pytest

from residency.evaluate.suites.closed_set import find_classes
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
    "numbers": ("numeric match", [f"{n + 1},234.50" for n in range(COUNT)]),
    "shares": ("numeric match", [f"{n}.5 %" for n in range(COUNT)]),
    "ratings": ("numeric match", [str(1 + n % 5) for n in range(COUNT)]),
    "dates": ("exact match", [f"2024-03-{n + 1:02d}" for n in range(COUNT)]),
    "lists": ("exact match", [json.dumps([f"part {n}", n, None]) for n in range(COUNT)]),
    "sums": (
        "numeric match",
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
        ("[1, 2]", "list"),
        ("[see below]", "text"),
        ("42", "text"),
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


@pytest.mark.parametrize(
    ("reference", "answer", "status"),
    [
        ("42", "The answer is 42.", "pass"),
        ("42", "forty-two", "pass"),
        ("42", "43", "fail"),
        ("42", "not 42", "fail"),
        ("42", "It is not 41 but 42.", "pass"),
        ("42", "42, not 41", "pass"),
        ("3.5 %", "0.035", "pass"),
        ("3.5 %", "3,5 %", "pass"),
        ("1,234.50", "1234.5", "pass"),
        ("1,234.50", "1.234,50 €", "pass"),
        ("$5 million", "5,000,000", "pass"),
        ("20 °C", "20°C", "pass"),
        ("20 °C", "20 °F", "unscored"),
        ("42", "I do not know.", "fail"),
        ("42", "", "fail"),
        # what names something is compared as a text
        ("007", "7", "fail"),
        ("Apollo 11", "Gemini 11", "fail"),
        ("12 Monkeys", "12", "fail"),
        ("2024-03-05", "5 March 2024", "pass"),
        ("2024-03-05", "It was on March 5th, 2024.", "pass"),
        ("2024-03-05", "5 de marzo de 2024", "pass"),
        ("2024-03-05", "2024年3月5日", "pass"),
        ("2024-03-05", "2024-03-06", "fail"),
        ("2024-03-05", "not 2024-03-05", "fail"),
        ("2024-03-05", "5/3/2024", "unscored"),
        ("2024-03-25", "25/3/2024", "pass"),
        ("2024-03-05", "soon", "fail"),
        ("5/3/2024", "5/3/2024", "pass"),
        ("2024-03-25", "25-03-2024", "pass"),
        ("2024-03-25", "25 марта 2024", "unscored"),
        ("2024-03-25", "26 марта 2024", "fail"),
        ("42", "4" * 100_000, "fail"),
        ("5 GB", "5 GiB", "fail"),
        ("Rs 1,00,000", "100000", "pass"),
        ("500 руб.", "₽500", "pass"),
        ("৪২", "42", "pass"),
        ("३४ %", "0.34", "pass"),
        ("[1, 2]", "```json\n[1,2.0]\n```", "pass"),
        ("[1, 2]", "[2, 1]", "fail"),
        ("[1, 2]", "1 and 2", "fail"),
        # a label outside the set stays wrong, another case does not
        ("yes", "Yes.", "pass"),
        ("true", "TRUE", "pass"),
        ("yes", "Yes, it is.", "fail"),
    ],
)
def test_a_short_reference_is_compared_by_what_it_is(
    reference: str, answer: str, status: str
) -> None:
    row = Example((Message("user", "q"), Message("assistant", reference)), split="dev")
    findings = grade_responses(load_suite(None), [row], [Response("m", row.id, text=answer)])
    assert [f.status for f in findings if f.kind == "wrong"] == [status]


def test_the_accuracy_of_number_labels_is_their_primary_metric() -> None:
    rows = [
        Example((Message("user", f"q{n}"), Message("assistant", str(n % 2))), split="dev")
        for n in range(COUNT)
    ]
    suite = load_suite(None)
    texts = ["0.0", "1", "label: 0", "0", "2", "1", "one", "1", "0", "1", "0", "1"]
    responses = [Response("m", row.id, text) for row, text in zip(rows, texts, strict=True)]
    findings = grade_responses(suite, rows, responses)
    scores = summarise_scores(
        findings,
        rows,
        responses,
        primary=choose_primary(suite, rows),
        classes=find_classes(suite, rows),
    )
    assert scores.primary is not None and scores.closed_set is not None
    assert scores.primary.mean == scores.closed_set.accuracy == pytest.approx(9 / 12)
