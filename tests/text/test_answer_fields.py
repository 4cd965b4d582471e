"""One reading of ``key: value`` answers: suite and detectors see the same fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.text.answer_fields import find_fields, parse_answer

FORMS = {
    "**order**: A-1\n**urgency**: high": {"order": "A-1", "urgency": "high"},
    "**order:** A-1\n**urgency:** **high**": {"order": "A-1", "urgency": "high"},
    "Bestell-Nr.: 12\nName: Ann": {"bestell-nr.": "12", "name": "Ann"},
    "订单：A-1\n紧急：高": {"订单": "A-1", "紧急": "高"},
    "order: A-1\r\nurgency: high\r\n": {"order": "A-1", "urgency": "high"},
    "```\r\norder: A-1\r\nurgency: high\r\n```": {"order": "A-1", "urgency": "high"},
    "- order: A-1\n- urgency: high": {"order": "A-1", "urgency": "high"},
    "1. `order`: A-1\n2. `urgency`: `high`": {"order": "A-1", "urgency": "high"},
    "Größe: 3\nGRÖSSE 2: 4": {"grösse": "3", "grösse 2": "4"},
    "order_id: 5\nurgency:": {"order_id": "5", "urgency": ""},
    "الاسم: علي\nالرقم: ٥": {"الاسم": "علي", "الرقم": "٥"},
    "time: 10:30\nratio: 1:2": {"time": "10:30", "ratio": "1:2"},
}


@pytest.mark.parametrize("text", FORMS)
def test_suite_and_detectors_read_the_same_fields(text: str) -> None:
    strict = parse_answer(text, "lines").fields
    loose = find_fields(text)
    assert {key: field.value for key, field in strict.items()} == FORMS[text]
    assert strict == loose
    for field in strict.values():
        assert text[field.start : field.end] == field.value


@pytest.mark.parametrize("text", ["**order**: A-1", "- order: A-1", "```\norder: A-1\n```"])
def test_markdown_around_a_field_is_a_breach_of_form(text: str) -> None:
    parsed = parse_answer(text, "lines")
    assert parsed.fields["order"].value == "A-1"
    assert any("Markdown" in problem.message for problem in parsed.problems)


@pytest.mark.parametrize(
    "text",
    [
        "See https://example.org/a for it",
        "We meet at 10:30 on Monday",
        '{"order": 1}',
        ": nothing before it",
        "This long sentence of many words that goes on says: no",
        "§: 5",
    ],
)
def test_what_is_no_field(text: str) -> None:
    assert parse_answer(text, "lines").fields == {}


def test_prose_with_a_colon_is_no_form() -> None:
    text = "Note: all is well.\nWe shipped it.\nIt comes soon.\nThank you."
    assert find_fields(text) == {}


@pytest.mark.parametrize("fence", ["```json\r\n{}\r\n```", "```\n{}\n```", "```JSON \n{}\n```\n"])
def test_a_fence_around_json_is_read_whatever_the_line_ends(fence: str) -> None:
    text = fence.replace("{}", '{"Order": "A-1", "n": 2}')
    parsed = parse_answer(text, "json")
    assert {key: field.value for key, field in parsed.fields.items()} == {"order": "A-1", "n": "2"}
    assert text[parsed.fields["order"].start : parsed.fields["order"].end] == "A-1"


def test_names_that_differ_by_case_alone_are_one_field_twice() -> None:
    parsed = parse_answer(
        '{"Colour": "red", "colour": "blue", "cafe\\u0301": 1, "café": 2}', "json"
    )
    assert {key: field.value for key, field in parsed.fields.items()} == {
        "colour": "red",
        "café": "1",
    }
    assert [problem.message for problem in parsed.problems] == [
        "field 'colour' appears twice",
        "field 'café' appears twice",
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error_and_places_are_true(text: str) -> None:
    strict = parse_answer(text, "lines").fields
    for field in strict.values():
        assert text[field.start : field.end] == field.value
    loose = find_fields(text)
    assert not loose or loose == strict
