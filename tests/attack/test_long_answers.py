"""Long answers of one piece over and over: what a model in a loop writes, and what an attacker would.

Every pattern of ours takes time in proportion to the text. The time limit stands for minutes or
hours: with a pattern that goes back and forth, forty thousand letters never end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.run_detectors import run_detectors
from residency.errors import SuiteError
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.suite import Suite
from residency.moderation.offensive_words import score_offence
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.report.word_difference import mark_difference
from residency.secrets import mask_addresses
from residency.text.answer_fields import find_fields
from residency.text.facts import find_facts
from residency.text.normal_form import normalise_answer
from residency.text.numbers import find_numbers
from residency.text.personal_data import find_personal
from residency.text.reasoning import find_answer
from residency.text.secret_forms import find_secrets
from residency.text.terminal_text import make_safe

LETTERS = 40_000
PIECES = (
    *("a", "A", " ", "\n", "1", "1,", "1.", "1-", "1 ", "12:", "-", "(", "{", '{"a":', "\\", "`"),
    *("```\n", "<think>", "</think>", "not ", "key: v\n", ":", "**k**: ", "It is not so. ", "a."),
    *("http://", "/", "a@", "a.b@c.", "北", "北京。", "a-", "a'", "| a |\n", "- a\n", "$1 ", "1%"),
    *("0x", "1e", "\u0301", "\u200b", "\u202e", "½", "12.12.2020 ", "Anna Maria "),
)
READERS: dict[str, Callable[[str], Any]] = {
    "numbers": find_numbers,
    "facts": find_facts,
    "personal data": find_personal,
    "secrets": find_secrets,
    "addresses": mask_addresses,
    "fields": find_fields,
    "normal form": normalise_answer,
    "reasoning": find_answer,
    "terminal": make_safe,
    "offence": score_offence,
}
RULES: tuple[dict[str, Any], ...] = (
    {"rule": "numeric", "value": 3},
    {"rule": "facts"},
    {"rule": "negation"},
    {"rule": "contains", "all": ["5", "no"]},
    {"rule": "choices", "choices": ["yes", "no"]},
    {"rule": "json_schema", "schema": {"required": ["a"]}},
    {"rule": "fields", "fields": ["key", "b"]},
)
DETECTORS = ("misspelling", "repetition", "overlong")


def make_item(reference: str = "yes") -> Example:
    return Example((Message("user", "Say it."), Message("assistant", reference)))


def write_suite(folder: Path, *rules: dict[str, Any]) -> Suite:
    path = folder / "suite.jsonl"
    path.write_text("\n".join(json.dumps(rule) for rule in rules))
    return load_suite(path)


def repeat(piece: str) -> str:
    return (piece * (LETTERS // len(piece) + 1))[:LETTERS]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", READERS)
def test_readers_of_text_take_time_in_proportion_to_it(name: str) -> None:
    for piece in PIECES:
        READERS[name](repeat(piece))


@pytest.mark.timeout(240)
def test_rules_and_detectors_judge_answers_in_a_loop(tmp_path: Path) -> None:
    reference = "The key: v is 5 and Anna paid 1,250.50 euros on 12.12.2020; he did not leave."
    item = make_item(reference)
    answers = [Response("m", item.id, repeat(piece)) for piece in PIECES]
    findings = grade_responses(write_suite(tmp_path, *RULES), [item], answers)
    assert {finding.response for finding in findings} == {answer.id for answer in answers}
    findings = run_detectors(
        [item],
        answers,
        known_words={"word"},
        embedder=None,  # type: ignore[arg-type]
        config=DiagnoseConfig(),
        max_new_tokens=512,
        names=DETECTORS,
    )
    assert len(findings) == len(PIECES) * len(DETECTORS)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("schema", "answer", "status"),
    [
        ({"pattern": "^(a+)+$"}, '"' + "a" * 5000 + '!"', "fail"),
        ({"pattern": "^(a|aa)+$(?!b)"}, '"' + "a" * 60 + '!"', "unscored"),
        ({"patternProperties": {"^(a|aa)+$": False}}, '{"' + "a" * 60 + '!": 1}', "pass"),
        ({"uniqueItems": True}, str([[i] for i in range(30_000)]), "pass"),
        ({"multipleOf": 0.5}, "9" * 4000, "pass"),
        ({"multipleOf": 0.01}, "19.99", "pass"),
        ({"multipleOf": 0.01}, "19.995", "fail"),
        ({"type": "string", "maxLength": 1}, '"\\ud800"', "pass"),
        ({"pattern": r"^\p{L}+$"}, '"Straße"', "pass"),
    ],
)
def test_a_schema_judges_any_answer_or_says_that_it_cannot(
    tmp_path: Path, schema: dict[str, Any], answer: str, status: str
) -> None:
    item, sane = make_item(), Response("m2", make_item().id, '"aab"')
    suite = write_suite(tmp_path, {"rule": "json_schema", "schema": schema})
    finding, _ = grade_responses(suite, [item], [Response("m", item.id, answer), sane])
    assert finding.status == status, finding.message


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "("])
def test_a_pattern_that_no_validator_should_run_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SuiteError, match="not a JSON Schema"):
        write_suite(tmp_path, {"rule": "json_schema", "schema": {"pattern": pattern}})


def in_circle(part: dict[str, Any]) -> dict[str, Any]:
    return {"$defs": {"a": part}, "$ref": "#/$defs/a"}


HERE = {"$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"not": {"$ref": "#"}},
        {"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]},
        in_circle({"allOf": [{"type": "string"}, HERE]}),
        in_circle({"anyOf": [{"type": "string"}, {"if": HERE}]}),
        in_circle({"oneOf": [{"then": HERE, "if": True}]}),
        in_circle({"dependentSchemas": {"k": {"else": HERE}}}),
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_judges_by_itself_is_refused(tmp_path: Path, schema: dict[str, Any]) -> None:
    with pytest.raises(SuiteError, match="circle"):
        write_suite(tmp_path, {"rule": "json_schema", "schema": schema})


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "array", "items": {"$ref": "#"}}, "[[], [[]]]", "[[1]]"),
        (
            {
                "$dynamicAnchor": "x",
                "type": "object",
                "additionalProperties": {"$dynamicRef": "#x"},
            },
            '{"a": {"b": {}}}',
            '{"a": {"b": 1}}',
        ),
        (
            {
                "$defs": {"n": {"type": "integer"}},
                "allOf": [{"$ref": "#/$defs/n"}],
                "not": {"const": 3},
            },
            "4",
            "3",
        ),
        (
            {"properties": {"not": {"properties": {"allOf": {"$ref": "#"}}}}, "type": "object"},
            '{"not": {"allOf": {}}}',
            '{"not": {"allOf": 1}}',
        ),
        ({"enum": [{"$ref": "#"}]}, '{"$ref": "#"}', '{"$ref": "x"}'),
    ],
)
def test_a_schema_of_nested_values_is_no_circle(
    tmp_path: Path, schema: dict[str, Any], good: str, bad: str
) -> None:
    item, suite = make_item(), write_suite(tmp_path, {"rule": "json_schema", "schema": schema})
    answers = [Response("m", item.id, good), Response("m2", item.id, bad)]
    assert [f.status for f in grade_responses(suite, [item], answers)] == ["pass", "fail"]


def test_words_of_a_loop_differ_without_being_lost() -> None:
    before, after = "a b " * 700, "b a " * 700 + "end"
    for marked, text in zip(mark_difference(before, after), (before, after), strict=True):
        assert re.sub(r"</?(?:del|ins)>", "", marked) == text


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("//registry.npmjs.org/:_authToken=npm_" + "a1B2" * 9, True),
        ("//npm.example.com:8080/x/:_authToken= 0a1b2c3d-0000-4000-8000-0123456789ab", True),
        (":_authToken=npm_" + "Zz9" * 12, True),
        ("set :_authToken=${NPM_TOKEN} in .npmrc, and never write it out", False),
        ("the option _authToken is deprecated in npm_config_authentication_files", False),
        ("/" * 4000 + ":_authToken=", False),
    ],
)
def test_tokens_of_npm_are_told_by_their_own_form(text: str, is_secret: bool) -> None:
    assert any(kind == "NPM tokens" for kind, _, _ in find_secrets(text)) is is_secret
