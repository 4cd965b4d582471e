"""Each rule of a test suite: what it passes, fails and leaves unscored, and its evidence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.errors import SuiteError
from residency.evaluate.suites.check_suite import check_suite
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.rule_registry import list_rules
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.normal_form import normalise_answer

TICKET = """product: kettle
problem: leaks
urgency: high
order: A-48213
request: refund
name: Marta Lindqvist
reply: Dear Marta, we are sorry about your kettle and will start your refund."""
NAMES = ["product", "problem", "urgency", "order", "request", "name", "reply"]
FIELDS = {"rule": "fields", "fields": NAMES, "free": ["reply"]}


class Letters:
    """An embedder of letter counts: enough to tell like from unlike."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[t.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts])
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(length == 0, 1, length), np.float32)


def example(reference: str | None, prompt: str = "Fill the ticket.", **more: Any) -> Example:
    messages = [Message("user", prompt)]
    if reference is not None:
        messages.append(Message("assistant", reference))
    return Example(tuple(messages), **more)


def suite_of(tmp_path: Path, *rules: dict[str, Any]) -> Any:
    path = tmp_path / "suite.jsonl"
    path.write_text("\n".join(json.dumps(rule) for rule in rules))
    return load_suite(path)


def results(
    tmp_path: Path,
    rule: dict[str, Any],
    answer: str,
    reference: str | None = None,
    **response: Any,
) -> dict[str, Finding]:
    item = example(reference)
    found = grade_responses(
        suite_of(tmp_path, rule),
        [item],
        [Response("m", item.id, answer, **response)],
        embedder=Letters(),
    )
    return {finding.kind: finding for finding in found}


def one(tmp_path: Path, rule: dict[str, Any], answer: str, *rest: Any, **more: Any) -> Finding:
    found = results(tmp_path, rule, answer, *rest, **more)
    assert len(found) == 1
    return next(iter(found.values()))


CASES = [
    # rule, answer, reference, status
    ({"rule": "non_empty"}, " \n", None, "fail"),
    ({"rule": "non_empty"}, "x", None, "pass"),
    ({"rule": "stop_words", "words": ["as an AI"]}, "As  an\nai, I", None, "fail"),
    ({"rule": "stop_words", "words": ["cat"]}, "concatenate", None, "pass"),
    ({"rule": "stop_words", "words": ["cat"], "whole_words": False}, "concatenate", None, "fail"),
    ({"rule": "stop_words", "words": ["AI"], "case": True}, "ai", None, "pass"),
    ({"rule": "exact"}, " “Paris”. ", "paris", "pass"),
    ({"rule": "exact", "mode": "raw"}, "Paris.", "paris", "fail"),
    ({"rule": "exact", "answers": ["yes", "yep"]}, "Yep!", None, "pass"),
    ({"rule": "exact"}, "London", "Paris", "fail"),
    ({"rule": "exact"}, "**Paris**", "Paris", "pass"),
    ({"rule": "exact"}, "- `Paris`.", "Paris", "pass"),
    ({"rule": "exact"}, "(B)", "B", "pass"),
    ({"rule": "exact"}, "B)", "B", "pass"),
    ({"rule": "exact"}, "$\\boxed{42}$", "42", "pass"),
    ({"rule": "exact"}, "- 5", "5", "fail"),
    ({"rule": "exact"}, "**Paris** or **Rome**", "Paris", "fail"),
    ({"rule": "exact"}, "London", None, "unscored"),
    ({"rule": "contains", "all": ["a", "b"]}, "A and c", None, "fail"),
    ({"rule": "contains", "any": ["sorry", "regret"]}, "We regret it", None, "pass"),
    ({"rule": "contains", "none": ["refund"]}, "Refund now", None, "fail"),
    ({"rule": "contains", "reference": True}, "It is A-1, yes", "A-1", "pass"),
    ({"rule": "contains", "reference": True}, "It is A-1, yes", None, "unscored"),
    ({"rule": "regex", "pattern": "[A-Z]-\\d+"}, "order A-12.", None, "pass"),
    ({"rule": "regex", "pattern": "[A-Z]-\\d+", "match": "whole"}, "order A-12", None, "fail"),
    ({"rule": "regex", "pattern": "http", "forbid": True}, "see http://x", None, "fail"),
    ({"rule": "regex", "pattern": "ok", "case": False}, "OK", None, "pass"),
    ({"rule": "json_schema", "schema": {"required": ["a"]}}, '{"a": 1}', None, "pass"),
    ({"rule": "json_schema", "schema": {"required": ["a"]}}, '{"b": 1}', None, "fail"),
    ({"rule": "json_schema", "schema": {}}, "{a: 1}", None, "fail"),
    ({"rule": "numeric"}, "so it costs 1,250.5 euros", "1250.5", "pass"),
    ({"rule": "numeric", "abs": 0.5}, "about 10.5", "10", "pass"),
    ({"rule": "numeric", "rel": 0.04}, "about 10.5", "10", "fail"),
    ({"rule": "numeric"}, "first 3 and then 4", "4", "pass"),
    ({"rule": "numeric", "which": "first"}, "first 3 and then 4", "4", "fail"),
    ({"rule": "numeric", "value": -2}, "−2", None, "pass"),
    ({"rule": "numeric"}, "none", "4", "fail"),
    ({"rule": "numeric"}, "4", "four", "pass"),
    ({"rule": "numeric"}, "Twenty-five of them", "25", "pass"),
    ({"rule": "numeric"}, "答案是三十五", "35", "pass"),
    ({"rule": "numeric"}, "Which one?", "7", "fail"),
    ({"rule": "numeric"}, "4", "not known", "unscored"),
    ({"rule": "numeric"}, "3,500,000", "3.5 million", "pass"),
    ({"rule": "numeric"}, "$3.5M", "3500000", "pass"),
    ({"rule": "numeric"}, "3.5 thousand", "3.5 million", "fail"),
    ({"rule": "numeric"}, "3.5", "3.5 million", "pass"),
    ({"rule": "numeric"}, "-$5.50", "-5.5", "pass"),
    ({"rule": "numeric"}, "a loss of ($5.50)", "-5.5", "unscored"),
    ({"rule": "numeric"}, "7 because:\n1. it is prime", "7", "pass"),
    ({"rule": "numeric"}, "12 cases of COVID-19", "12", "pass"),
    ({"rule": "numeric"}, "$\\frac{3}{4}$", "0.75", "pass"),
    ({"rule": "length", "max": 3}, "one two three four", None, "fail"),
    ({"rule": "length", "min": 3}, "one two", None, "fail"),
    ({"rule": "length", "max": 5, "unit": "chars"}, "12345", None, "pass"),
    ({"rule": "length", "max": 1, "unit": "lines"}, "a\n\nb", None, "fail"),
    ({"rule": "length", "max": 3, "unit": "tokens"}, "no ids known", None, "unscored"),
    ({"rule": "length", "max_ratio": 2}, "a b c d e", "a b", "fail"),
    ({"rule": "similarity", "threshold": 0.99}, "abc", "cba", "pass"),
    ({"rule": "similarity", "threshold": 0.5}, "xyz", "abc", "fail"),
    ({"rule": "similarity"}, "xyz", None, "unscored"),
]


@pytest.mark.parametrize(("rule", "answer", "reference", "status"), CASES)
def test_each_rule_answers(
    tmp_path: Path, rule: dict[str, Any], answer: str, reference: str | None, status: str
) -> None:
    found = one(tmp_path, rule, answer, reference)
    assert found.status == status
    assert found.detector == f"suite:{rule['rule']}"
    assert (found.severity > 0) == (status == "fail")
    assert bool(found.message) >= (status != "pass")
    for span in found.spans:
        assert 0 <= span.start <= span.end <= len(answer)


def test_every_rule_is_documented_and_tested() -> None:
    page = (Path(__file__).parents[3] / "docs" / "suites.md").read_text()
    tests = "".join(
        p.read_text()
        for p in [
            *Path(__file__).parent.glob("test_*.py"),
            *Path(__file__).parents[2].glob("commands/test_suite*.py"),
        ]
    )
    for name in list_rules():
        assert f"| `{name}` |" in page
        assert f'"{name}"' in tests


def test_evidence_points_at_the_text(tmp_path: Path) -> None:
    answer = TICKET.replace("high", "low")
    found = results(tmp_path, FIELDS, answer, TICKET)["wrong:urgency"]
    assert [answer[s.start : s.end] for s in found.spans] == ["low"]
    assert "'high'" in found.message
    stop = one(tmp_path, {"rule": "stop_words", "words": ["sorry"], "field": "reply"}, TICKET)
    assert [TICKET[s.start : s.end] for s in stop.spans] == ["sorry"]
    assert stop.kind == "stop_words:reply"


def test_each_field_is_a_finding_of_its_own(tmp_path: Path) -> None:
    answer = TICKET.replace("kettle\n", "toaster\n", 1).replace(
        "Marta Lindqvist", "marta  lindqvist"
    )
    found = results(tmp_path, FIELDS, answer, TICKET)
    assert found["wrong:product"].status == "fail"
    assert found["wrong:name"].status == "pass"  # case and spaces do not matter
    assert "wrong:reply" not in found  # free text is not compared
    assert set(found) == {"format", *(f"wrong:{n}" for n in NAMES if n != "reply")}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (TICKET.replace("order: A-48213\n", ""), "missing: order"),
        (TICKET + "\nnote: hi", "extra field 'note'"),
        (TICKET + "\nproduct: toaster", "appears twice"),
        (TICKET + "\nBye.", "not 'key: value'"),
        ("problem: leaks\nproduct: kettle" + TICKET[30:], "order of fields"),
        ("", "empty"),
    ],
)
def test_a_broken_format_says_how(tmp_path: Path, answer: str, says: str) -> None:
    found = results(tmp_path, FIELDS, answer, TICKET)["format"]
    assert found.status == "fail"
    assert says in found.message


def test_pain_27_fields_that_a_complete_answer_lacks_have_failed_and_cut_ones_are_unscored(
    tmp_path: Path,
) -> None:
    """Otherwise a model that stops writing a field would have fewer wrong ones."""
    found = results(tmp_path, FIELDS, "I'm sorry for your loss.", TICKET)
    assert {f.status for f in found.values()} == {"fail"}
    assert "not in the answer" in found["wrong:order"].message
    cut = results(tmp_path, FIELDS, "product: kettle\nprob", TICKET, finish="length")
    assert {f.status for kind, f in cut.items() if kind != "wrong:product"} == {"unscored"}
    assert cut["wrong:product"].status == "pass"


def test_what_can_be_read_is_compared_even_in_a_broken_format(tmp_path: Path) -> None:
    answer = "Here is the ticket\n" + TICKET.replace("order: A-48213\n", "")
    found = results(tmp_path, FIELDS, answer, TICKET)
    assert found["format"].status == "fail"
    assert found["wrong:order"].status == "fail"
    assert found["wrong:product"].status == "pass"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, len(TICKET) - 1))
def test_pain_27_a_cut_right_answer_never_fails(cut: int) -> None:
    """Wherever the token limit cuts a right answer, nothing of it is counted as wrong."""
    item = example(TICKET)
    rules = [
        FIELDS,
        {"rule": "exact"},
        {"rule": "choices", "field": "urgency", "choices": ["low", "normal", "high"]},
        {"rule": "regex", "field": "order", "pattern": "none|A-\\d{5}", "match": "whole"},
        {"rule": "contains", "all": ["refund"], "field": "reply"},
        {"rule": "length", "field": "reply", "min": 5},
        {"rule": "length", "name": "whole", "min": 20, "max": 40},
        {"rule": "numeric", "field": "order", "name": "n", "value": 48213},
        {"rule": "similarity", "threshold": 0.95},
        {"rule": "non_empty"},
    ]
    made = [
        list_rules()[r["rule"]].model_validate({k: v for k, v in r.items() if k != "rule"})
        for r in rules
    ]
    from residency.evaluate.suites.suite import Suite

    response = Response("m", item.id, TICKET[:cut], finish="length")
    found = grade_responses(Suite("s", tuple(made)), [item], [response], embedder=Letters())
    assert [f for f in found if f.status == "fail"] == []


PIECES = [
    *("product: kettle\n", "problem: leaks\n", "order: A-1\n", "order: 12", "A-1", "12", " 3.5"),
    *("sorry", " as an AI", "refund", "\n", " ", "word ", "low", "high", ": ", "."),
    *('{"a": ', '"x"', "}", ", ", '"b": 2', "[", "]", "```json\n", "\n```", "note: hi\n"),
]
CUT_RULES: list[dict[str, Any]] = [
    {"rule": "non_empty"},
    {"rule": "stop_words", "words": ["as an AI", "sorry"]},
    {"rule": "stop_words", "name": "part", "words": ["orry"], "whole_words": False},
    {"rule": "exact"},
    {"rule": "exact", "name": "raw", "mode": "raw"},
    {"rule": "contains", "all": ["refund"], "none": ["sorry"]},
    {"rule": "contains", "name": "any", "any": ["12", "high"]},
    {"rule": "regex", "pattern": "[A-Z]-\\d+"},
    {"rule": "regex", "name": "end", "pattern": "12$"},
    {"rule": "regex", "name": "whole", "pattern": "(word )+low", "match": "whole"},
    {"rule": "regex", "name": "not", "pattern": "high", "forbid": True},
    {"rule": "json_schema", "schema": {"type": "object", "required": ["a"]}},
    {"rule": "json_schema", "name": "number", "schema": {"type": "number", "minimum": 5}},
    {"rule": "choices", "choices": ["low", "high", "low high"]},
    {"rule": "numeric", "value": 12},
    {"rule": "numeric", "name": "first", "value": 12, "which": "first"},
    {"rule": "length", "min": 2, "max": 4},
    {"rule": "length", "name": "lines", "max": 2, "unit": "lines"},
    {"rule": "fields", "fields": ["product", "problem", "order"]},
    {
        "rule": "fields",
        "name": "loose",
        "fields": ["product", "order"],
        "order": False,
        "extra": True,
    },
    {"rule": "fields", "name": "json", "fields": ["a", "b"], "parse": "json"},
    {"rule": "exact", "name": "field", "field": "order"},
    {"rule": "numeric", "name": "field number", "field": "order", "value": 12},
]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.sampled_from(PIECES), max_size=5))
def test_pain_27_no_continuation_turns_a_verdict_around(head: list[str], tail: list[str]) -> None:
    """What is scored in a cut answer would be scored the same in every longer one."""
    from residency.evaluate.suites.suite import Suite

    made = tuple(
        list_rules()[r["rule"]].model_validate({k: v for k, v in r.items() if k != "rule"})
        for r in CUT_RULES
    )
    item = example("product: kettle\nproblem: leaks\norder: 12")
    cut = Response("m", item.id, "".join(head), finish="length")
    whole = Response("m", item.id, "".join(head + tail), sample=1)
    found = grade_responses(Suite("s", made), [item], [cut, whole])
    after = {(f.detector, f.kind): f for f in found if f.response == whole.id}
    for before in (f for f in found if f.response == cut.id):
        now = after[before.detector, before.kind]
        assert {before.status, now.status} != {"pass", "fail"}, (before, now)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_any_text_can_be_graded_and_evidence_lies_inside(text: str) -> None:
    from residency.evaluate.suites.suite import Suite

    made = tuple(
        list_rules()[r["rule"]].model_validate({k: v for k, v in r.items() if k != "rule"})
        for r in CUT_RULES
    )
    item = example(TICKET)
    found = grade_responses(Suite("s", made), [item], [Response("m", item.id, text)])
    for finding in found:
        for span in finding.spans:
            assert 0 <= span.start <= span.end <= len(text)


def test_a_cut_answer_that_is_already_wrong_fails(tmp_path: Path) -> None:
    cut = "product: toaster\nproblem: le"
    found = results(tmp_path, FIELDS, cut, TICKET, finish="length")
    assert found["wrong:product"].status == "fail"
    assert found["wrong:problem"].status == "unscored"
    rambling = "I am sorry.\nI am sorry.\nI am so"
    assert results(tmp_path, FIELDS, rambling, TICKET, finish="length")["format"].status == "fail"
    assert one(tmp_path, {"rule": "exact"}, "London is", "Paris", finish="length").status == "fail"


def test_an_error_is_unscored_by_every_rule(tmp_path: Path) -> None:
    for rule in (FIELDS, {"rule": "non_empty"}, {"rule": "exact"}):
        found = results(tmp_path, rule, "", TICKET, finish="error", error="429 too many")
        assert {f.status for f in found.values()} == {"unscored"}
        assert all("429" in f.message for f in found.values())


def test_fields_as_json(tmp_path: Path) -> None:
    rule = {"rule": "fields", "fields": ["a", "b"], "parse": "json"}
    reference = '{"a": "x", "b": 2}'
    assert {
        f.status for f in results(tmp_path, rule, '{"a": "X", "b": 2}', reference).values()
    } == {"pass"}
    wrong = results(tmp_path, rule, '{"a": "x", "b": 3}', reference)
    assert wrong["wrong:b"].status == "fail"
    assert wrong["format"].status == "pass"
    fenced = results(tmp_path, rule, '```json\n{"a": "y", "b": 2}\n```', reference)
    assert fenced["format"].status == "fail"
    assert fenced["wrong:a"].spans[0].start == 15  # the y inside the fence
    cut = results(tmp_path, rule, '{"a": "x", "b', reference, finish="length")
    assert {f.status for f in cut.values()} == {"unscored"}
    for bad in ("[1]", "{", "", "{'a': 1}"):
        assert results(tmp_path, rule, bad, reference)["format"].status == "fail"


def test_choices_tell_format_from_wrong(tmp_path: Path) -> None:
    rule = {"rule": "choices", "choices": ["A", "B"]}
    assert {k: f.status for k, f in results(tmp_path, rule, "b.", "B").items()} == {
        "format": "pass",
        "wrong": "pass",
    }
    assert {k: f.status for k, f in results(tmp_path, rule, "A", "B").items()} == {
        "format": "pass",
        "wrong": "fail",
    }
    assert {k: f.status for k, f in results(tmp_path, rule, "maybe", "B").items()} == {
        "format": "fail",
        "wrong": "fail",  # outside the set it is wrong, or a model that drifts out of it would win
    }


@pytest.mark.parametrize("wanted", ["en", "prompt"])
def test_language(tmp_path: Path, wanted: str) -> None:
    rule = {"rule": "language", "language": wanted}
    item = example(None, "What is the weather like in the mountains today?")
    texts = [
        "The weather is fine today, and the mountains are beautiful.",
        "Das Wetter ist heute schön und die Berge sind wunderbar.",
        "ok",
    ]
    answers = [Response("m", item.id, text, sample=i) for i, text in enumerate(texts)]
    found = grade_responses(suite_of(tmp_path, rule), [item], answers)
    assert [f.status for f in found] == ["pass", "fail", "unscored"]
    assert "written in de" in found[1].message


def test_python_function(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text(
        "def polite(response, example):\n"
        "    if response == 'boom':\n"
        "        raise RuntimeError('no')\n"
        "    if response == 'odd':\n"
        "        return 'yes'\n"
        "    return ('sorry' in response, 'no apology')\n"
    )
    rule = {"rule": "python", "function": "checks.py:polite"}
    found = one(tmp_path, rule, "go away")
    assert (found.status, found.kind, found.message) == ("fail", "polite", "no apology")
    assert found.detector == "suite:polite"
    assert one(tmp_path, rule, "sorry").status == "pass"
    item = example(None)
    answers = [Response("m", item.id, text, sample=i) for i, text in enumerate(["boom", "sorry"])]
    raised, fine = grade_responses(suite_of(tmp_path, rule), [item], answers)
    assert (raised.status, fine.status) == ("unscored", "pass")
    assert "RuntimeError: no" in raised.message
    assert one(tmp_path, rule, "odd").status == "unscored"
    before = found.version
    (tmp_path / "checks.py").write_text("def polite(response, example):\n    return True\n")
    after = one(tmp_path, rule, "go away")
    assert after.status == "pass"
    assert after.version != before  # an edited function is a new measurement


def test_consistency_over_paraphrases_and_samples(tmp_path: Path) -> None:
    items = [example("yes", f"question {i}", group="g") for i in range(3)]
    items.append(example("no", "a near-duplicate with another answer", group="g"))
    answers = ["yes", "Yes.", "no", "no"]
    responses = [Response("m", e.id, t) for e, t in zip(items, answers, strict=True)]
    over = suite_of(tmp_path, {"rule": "consistency", "over": "paraphrases"})
    found = grade_responses(over, items, responses)
    assert [f.status for f in found] == ["fail", "fail", "fail", "unscored"]
    assert [f.value for f in found[:3]] == [0.5, 0.5, 0.0]
    loose = suite_of(tmp_path, {"rule": "consistency", "min_agreement": 0.5})
    assert [f.status for f in grade_responses(loose, items, responses)][:3] == [
        "pass",
        "pass",
        "fail",
    ]

    samples = [Response("m", items[0].id, t, sample=i) for i, t in enumerate(["a", "a", "b"])]
    other = Response("n", items[0].id, "b")  # another model is never compared
    per_sample = suite_of(tmp_path, {"rule": "consistency", "over": "samples"})
    found = grade_responses(per_sample, items, [*samples, other])
    assert [f.status for f in found] == ["fail", "fail", "fail", "unscored"]


def test_consistency_of_fields_and_meaning(tmp_path: Path) -> None:
    items = [example(TICKET, f"prompt {i}", group="g") for i in range(2)]
    other_reply = TICKET.replace("Dear Marta", "Hello")
    responses = [Response("m", e.id, t) for e, t in zip(items, [TICKET, other_reply], strict=True)]
    rule = {"rule": "consistency", "compare": "fields", "fields": NAMES[:-1]}
    assert {f.status for f in grade_responses(suite_of(tmp_path, rule), items, responses)} == {
        "pass"
    }
    responses[1] = Response("m", items[1].id, TICKET.replace("high", "low"))
    found = grade_responses(suite_of(tmp_path, rule), items, responses)
    assert {f.status for f in found} == {"fail"}
    assert "urgency: 'high' and 'low'" in found[0].message
    meaning = {"rule": "consistency", "compare": "similarity", "threshold": 0.99}
    texts = [Response("m", e.id, t) for e, t in zip(items, ["abc abc", "cab"], strict=True)]
    found = grade_responses(suite_of(tmp_path, meaning), items, texts, embedder=Letters())
    assert {f.status for f in found} == {"pass"}
    assert {f.status for f in grade_responses(suite_of(tmp_path, meaning), items, texts)} == {
        "unscored"
    }


def test_invariance_and_direction_over_the_users_groups(tmp_path: Path) -> None:
    base = example(None, "It leaks.", group="g", tags=("plain",))
    loud = example(None, "It leaks!!!", group="g", tags=("loud",))
    answers = {base: "urgency: high", loud: "urgency: low"}
    responses = [Response("m", e.id, t) for e, t in answers.items()]
    invariance = suite_of(tmp_path, {"rule": "invariance", "base": "plain"})
    found = grade_responses(invariance, [base, loud], responses)
    assert [(f.status, f.response) for f in found] == [("fail", responses[1].id)]
    rule = {
        "rule": "directional",
        "base": "plain",
        "variant": "loud",
        "of": "urgency",
        "order": ["low", "normal", "high"],
        "expect": "not_lower",
    }
    found = grade_responses(suite_of(tmp_path, rule), [base, loud], responses)
    assert [(f.status, f.kind) for f in found] == [("fail", "direction")]
    assert "high → low" in found[0].message
    rule["expect"] = "lower"
    assert grade_responses(suite_of(tmp_path, rule), [base, loud], responses)[0].status == "pass"


@pytest.mark.parametrize(
    ("of", "before", "after", "expect", "status"),
    [
        ("length", "one two", "one two three", "higher", "pass"),
        ("length", "one two", "one", "not_lower", "fail"),
        ("number", "about 10 euros", "about 12.5 euros", "higher", "pass"),
        ("number", "about 10 euros", "about ten euros", "higher", "unscored"),
        ("urgency", "urgency: low", "urgency: LOW.", "same", "pass"),
        ("urgency", "urgency: low", "urgency: high", "different", "pass"),
        ("urgency", "urgency: low", "no field", "different", "unscored"),
    ],
)
def test_what_can_move_in_a_direction(
    tmp_path: Path, of: str, before: str, after: str, expect: str, status: str
) -> None:
    base = example(None, "a", group="g", tags=("base",))
    variant = example(None, "b", group="g", tags=("variant",))
    rule = {"rule": "directional", "base": "base", "variant": "variant", "of": of, "expect": expect}
    responses = [Response("m", base.id, before), Response("m", variant.id, after)]
    found = grade_responses(suite_of(tmp_path, rule), [base, variant], responses)
    assert [f.status for f in found] == [status]
    cut = [responses[0], Response("m", variant.id, after, finish="length")]
    found = grade_responses(suite_of(tmp_path, rule), [base, variant], cut)
    assert [f.status for f in found] == ["unscored"]
    alone = grade_responses(suite_of(tmp_path, rule), [variant], responses[1:])
    assert [f.message for f in alone] == ["nothing to compare with"]


def test_scope_by_tag_id_and_reference_length(tmp_path: Path) -> None:
    items = [
        example("a", "one", tags=("x",)),
        example("a b c d", "two"),
        example(None, "three", tags=("x",)),
    ]
    responses = [Response("m", e.id, "a") for e in items]

    def hit(**scope: Any) -> list[int]:
        found = grade_responses(
            suite_of(tmp_path, {"rule": "non_empty", **scope}), items, responses
        )
        return [i for i, r in enumerate(responses) if any(f.response == r.id for f in found)]

    assert hit() == [0, 1, 2]
    assert hit(tags=["x"]) == [0, 2]
    assert hit(examples=[items[1].id]) == [1]
    assert hit(min_reference_words=2) == [1]
    assert hit(max_reference_words=2) == [0]


def test_grading_is_deterministic_and_versions_follow_the_settings(tmp_path: Path) -> None:
    item = example(TICKET)
    responses = [Response("m", item.id, TICKET[:60], sample=i) for i in range(3)]
    first = grade_responses(suite_of(tmp_path, FIELDS), [item], responses)
    assert first == grade_responses(suite_of(tmp_path, FIELDS), [item], responses)
    assert [f.response for f in first] == sorted(
        (f.response for f in first), key=[r.id for r in responses].index
    )
    strict = grade_responses(suite_of(tmp_path, {**FIELDS, "order": False}), [item], responses)
    assert {f.version for f in first}.isdisjoint({f.version for f in strict})
    graver = grade_responses(suite_of(tmp_path, {**FIELDS, "severity": 1.0}), [item], responses)
    assert {f.version for f in first} == {f.version for f in graver}


def test_a_response_to_an_unknown_example_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="not among the"):
        grade_responses(suite_of(tmp_path, FIELDS), [example("x")], [Response("m", "ex-0", "x")])


def test_a_missing_reference_is_told_before_anything_is_generated(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"rule": "exact"})
    with pytest.raises(SuiteError, match="none of its 2 examples has one"):
        check_suite(suite, [example(None, "a"), example(None, "b")])
    notes = check_suite(suite, [example(None, "a"), example("x", "b")])
    assert len(notes) == 1
    assert "1 of 2 examples have no reference" in notes[0]
    assert check_suite(suite_of(tmp_path, {"rule": "non_empty"}), [example(None)]) == ()


@settings(derandomize=True)
@given(st.text(max_size=40))
def test_normalise_is_idempotent(text: str) -> None:
    assert normalise_answer(normalise_answer(text)) == normalise_answer(text)


def test_findings_are_plain_data(tmp_path: Path) -> None:
    found = results(tmp_path, FIELDS, "x", TICKET)
    assert json.dumps([dataclasses.asdict(f) for f in found.values()])
