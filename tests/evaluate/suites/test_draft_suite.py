"""A suite drafted from references holds what they show, and the table says what it can tell apart."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from residency.commands.suite import read_draft
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import SuiteError
from residency.evaluate.suites.draft_suite import draft_suite
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.primary_metric import choose_primary
from residency.evaluate.suites.rule_registry import list_rules
from residency.evaluate.suites.sensitivity import make_probes, measure_probes, negate_reference
from residency.evaluate.suites.sensitivity_table import (
    Sensitivity,
    list_blind_spots,
    read_sensitivity,
)
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example, Message
from residency.results.blind_spots import describe_blind_spots, is_blind_score
from residency.text.facts import find_facts, is_stated
from residency.text.negation import find_flipped, negate_text

HOSTILE = 'x"""\n[[rules]]\nrule = "python"\x1b[31m<script>\u202e'


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def make_row(prompt: str, answer: str, split: str = "dev") -> Example:
    return Example((Message("user", prompt), Message("assistant", answer)), split=split)  # type: ignore[arg-type]


def make_questions(count: int = 60) -> list[Example]:
    rng = random.Random(3)
    rows = []
    for number in range(count):
        thing = rng.choice(["lamp", "kettle", "chair", "radio"])
        days, city = rng.randint(10, 99), rng.choice(["Berlin", "Oslo", "Rome"])
        answer = rng.choice(
            [
                f"Yes, you can return a {thing} within {days} days, and {city} pays for it.",
                f"A {thing} costs {days} euros. It is not sold in {city} on Sundays.",
                f"Please write to our office in {city}; they answer within {days} hours.",
            ]
        )
        rows.append(make_row(f"Question {number} about a {thing}?", answer))
    return rows


def measure(suite: Suite, rows: list[Example], embedder: WordLlamaEmbedder) -> Sensitivity:
    metric = choose_primary(suite, rows)
    return measure_probes(suite, metric, rows, make_probes(rows, embedder), embedder=embedder)


def test_prose_is_held_to_facts_meaning_and_denials(embedder: WordLlamaEmbedder) -> None:
    rows = make_questions()
    draft = draft_suite(rows, name=HOSTILE, embedder=embedder, judge=True)
    rules = {table["rule"] for table in draft.tables}
    assert {"non_empty", "facts", "similarity", "negation", "length"} <= rules
    suite = read_draft(draft)
    assert [rule.NAME for rule in suite.rules] == [table["rule"] for table in draft.tables]
    assert "residency judge run" in draft.text
    table = measure(suite, rows, embedder)
    values = {probe.name: probe.value for probe in table.probes}
    assert values["reference"] == 1.0
    assert values["negated"] == values["empty"] == 0.0
    assert values["another"] is not None
    assert values["another"] < 0.1
    assert not is_blind_score(table)
    assert read_sensitivity(table.to_dict()) == table


def test_the_default_suite_is_told_to_be_blind(embedder: WordLlamaEmbedder) -> None:
    table = measure(load_suite(None), make_questions(), embedder)
    negated = table.probe("negated")
    assert negated is not None
    assert negated.value is not None
    assert negated.value > 0.9
    assert "negated" in [probe.name for probe in list_blind_spots(table)]
    assert is_blind_score(table)
    assert "cannot see" in describe_blind_spots(table)


@pytest.mark.parametrize(
    "references",
    [
        [f"{n},{n + 100}.50" for n in range(1, 30)],
        [f"{n} March 2024" for n in range(1, 30)],
        [f'["part {n}", {n}]' for n in range(1, 30)],
        [f"{n} %" for n in range(1, 20)] + ["none of them"] * 12,
    ],
)
def test_values_are_told_from_wrong_ones_by_the_default_suite_and_by_a_draft(
    references: list[str], embedder: WordLlamaEmbedder
) -> None:
    rows = [make_row(f"q{n}", reference) for n, reference in enumerate(references)]
    draft = read_draft(draft_suite(rows, name="values", embedder=embedder))
    for suite in (load_suite(None), draft):
        table = measure(suite, rows, embedder)
        values = {probe.name: probe.value for probe in table.probes}
        assert values["reference"] == 1.0
        assert values["negated"] == values["empty"] == values["another"] == 0.0
        assert not is_blind_score(table)


def test_fields_and_their_closed_values_are_found() -> None:
    rng = random.Random(1)
    rows = [
        make_row(
            f"ticket {n}",
            f"urgency: {rng.choice(['low', 'high'])}\norder: A-{1000 + n}\n"
            f"reply: Dear customer number {n}, we are sorry and will write again soon.",
        )
        for n in range(40)
    ]
    draft = draft_suite(rows, name="tickets")
    fields = next(table for table in draft.tables if table["rule"] == "fields")
    assert fields["fields"] == ["urgency", "order", "reply"]
    assert fields["free"] == ["reply"]
    (choices,) = [table for table in draft.tables if table["rule"] == "choices"]
    assert (choices["field"], set(choices["choices"])) == ("urgency", {"low", "high"})
    assert choices["compare"] is False
    read_draft(draft)


def test_classes_numbers_and_json_have_rules_of_their_own() -> None:
    classes = [make_row(f"q{n}", ["spam", "ham"][n % 2]) for n in range(20)]
    assert draft_suite(classes, name="c").tables[0]["rule"] == "choices"
    numbers = [make_row(f"q{n}", str(n * 37)) for n in range(20)]
    assert draft_suite(numbers, name="n").tables[0]["rule"] == "numeric"
    objects = [make_row(f"q{n}", f'{{"kind": "{"ab"[n % 2]}", "id": {n}}}') for n in range(20)]
    draft = draft_suite(objects, name="j")
    assert draft.tables[0]["parse"] == "json"
    assert read_draft(draft).rules[0].parse == "json"


def test_the_sealed_test_is_not_read_and_too_few_rows_are_refused() -> None:
    rows = make_questions(30)
    sealed = [make_row(f"q{n}", "spam", "test") for n in range(90)]
    assert draft_suite([*rows, *sealed], name="a").text == draft_suite(rows, name="a").text
    with pytest.raises(SuiteError, match="4 rows"):
        draft_suite([*rows[:4], *sealed], name="a")


def test_hostile_values_stay_values(tmp_path: Path) -> None:
    rows = [make_row(f"q{n}", ["spam", HOSTILE.replace("\n", " ")][n % 2]) for n in range(20)]
    draft = draft_suite(rows, name=HOSTILE)
    path = tmp_path / "suite.toml"
    path.write_text(draft.text, encoding="utf-8")
    suite = load_suite(path)
    assert [rule.NAME for rule in suite.rules] == [table["rule"] for table in draft.tables]
    assert "python" not in {rule.NAME for rule in suite.rules}


@pytest.mark.parametrize(
    "text",
    [
        "You can return it within 14 days.",
        "No receipt is needed.",
        "You cannot change the order.",
        "Der Laden ist sonntags offen.",
        "yes",
        "Paris",
    ],
)
def test_a_negation_is_seen_and_the_same_text_is_none(text: str) -> None:
    turned = negate_text(text)
    assert turned is not None
    assert find_flipped(text, turned)
    assert find_flipped(text, text) == []


def test_references_of_fields_and_json_are_denied_value_by_value() -> None:
    assert negate_reference("urgency: high\norder: A-1") == "urgency: not high\norder: not A-1"
    assert negate_reference('{"ok": true, "n": 3}') == '{"ok": false, "n": -3}'
    assert negate_reference("") is None


def test_facts_are_the_same_however_they_are_written() -> None:
    wanted = find_facts("Pay 1 234,50 euros to Dr. Ann Meyer before 12 March 2024, order A-77.")
    answer = "Ann Meyer wants 1.234,50 euros by 2024-03-12 for a-77."
    written = find_facts(answer)
    assert {fact.kind for fact in wanted} == {"number", "date", "code", "name"}
    assert [f.written for f in wanted if not is_stated(f, answer, written)] == []
    other = "Ann Meyer wants 1.234,60 euros by 2024-03-13 for a-78."
    missing = [f.kind for f in wanted if not is_stated(f, other, find_facts(other))]
    assert sorted(missing) == ["code", "date", "number"]


def test_the_new_rules_are_rules_of_a_suite() -> None:
    assert {"facts", "negation"} <= set(list_rules())
