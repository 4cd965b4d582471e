"""Suite files: TOML and JSONL, items of the suite's own, CheckList, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from residency.errors import SuiteError
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example, Message
from residency.nouns.response import Response


def toml(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "suite.toml"
    path.write_text(text)
    return load_suite(path)


def test_the_default_suite_picks_the_rule_by_the_references_length() -> None:
    suite = load_suite(None)
    short = Example((Message("user", "a"), Message("assistant", "Paris")))
    long = Example((Message("user", "b"), Message("assistant", "one two three " * 5)))
    responses = [Response("m", e.id, "paris.") for e in (short, long)]
    found = {
        (f.response, f.detector, f.status) for f in grade_responses(suite, [short, long], responses)
    }
    assert found == {
        (responses[0].id, "suite:non_empty", "pass"),
        (responses[0].id, "suite:exact", "pass"),
        (responses[1].id, "suite:non_empty", "pass"),
        (responses[1].id, "suite:similarity", "unscored"),  # no embedder given
    }
    assert suite.needs_embedder


def test_the_suites_in_the_documentation_load(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "suites.md").read_text()
    blocks = re.findall(r"```(toml|json|python)\n(.*?)```", page, re.DOTALL)
    suites = [body for kind, body in blocks if kind == "toml" and "[evaluate]" not in body]
    assert len(suites) == 2
    for body in suites:
        assert toml(tmp_path, body).rules
    lines = tmp_path / "suite.jsonl"
    lines.write_text(next(body for kind, body in blocks if kind == "json"))
    suite = load_suite(lines)
    assert len(suite.examples) == 1
    assert suite.rules[1].examples == ("ex-0123456789abcdef",)


def test_items_bring_their_own_prompt_reference_and_rules(tmp_path: Path) -> None:
    suite = toml(
        tmp_path,
        """
        instruction = "Fill the ticket."
        [[rules]]
        rule = "non_empty"
        [[items]]
        prompt = "My kettle leaks!!"
        reference = "product: kettle"
        tags = ["short"]
        rules = [{ rule = "contains", all = ["kettle"] }]
        """,
    )
    (item,) = suite.examples
    assert (item.prompt[0].content, item.prompt[0].input) == (
        "Fill the ticket.",
        "My kettle leaks!!",
    )
    assert (item.reference, item.tags) == ("product: kettle", ("short",))
    user = Example((Message("user", "theirs"),))
    answers = [Response("m", e.id, "a toaster") for e in (item, user)]
    found = grade_responses(suite, [user], answers)
    assert [(f.detector, f.status) for f in found] == [
        ("suite:non_empty", "pass"),
        ("suite:contains", "fail"),
        ("suite:non_empty", "pass"),  # the item's rule does not concern the user's example
    ]


CHECKLIST = """
[[checklist]]
type = "MFT"
name = "order"
template = "My {product} broke, order {order}."
fill = { product = ["kettle", "toaster"], order = ["A-1", "B-2"] }
severity = 0.9
rules = [{ rule = "contains", all = ["{order}"] }]

[[checklist]]
type = "INV"
name = "greeting"
template = "{hello} my {product} leaks."
fill = { hello = ["Hi,", "Hey", "Good day,"], product = ["kettle", "boiler"] }
vary = ["hello"]

[[checklist]]
type = "DIR"
name = "urgent"
template = "My {product} leaks."
variant = "My {product} leaks. Help me today!"
fill = { product = ["kettle", "boiler"] }
of = "urgency"
order = ["low", "normal", "high"]
expect = "not_lower"
"""


def test_checklist_expands_and_grades_all_three_kinds(tmp_path: Path) -> None:
    suite = toml(tmp_path, CHECKLIST)
    by_kind = {
        name: [e for e in suite.examples if f"checklist:{name}" in e.tags]
        for name in ("order", "greeting", "urgent")
    }
    assert {name: len(items) for name, items in by_kind.items()} == {
        "order": 4,
        "greeting": 6,
        "urgent": 4,
    }
    assert len({e.group for e in by_kind["greeting"]}) == 2  # one group a product

    def answer(e: Example) -> str:
        text = e.prompt_text
        if "order" in text:
            return "order: A-1"  # right for half of them
        if "Help" in text:
            return "urgency: low" if "kettle" in text else "urgency: high"
        if "Hey" in text:
            return "urgency: none"
        return "urgency: normal"

    responses = [Response("m", e.id, answer(e)) for e in suite.examples]
    found = grade_responses(suite, [], responses)
    tally: dict[str, list[str]] = {}
    for finding in found:
        tally.setdefault(finding.kind, []).append(finding.status)
    assert sorted(tally["mft:order"]) == ["fail", "fail", "pass", "pass"]
    assert sorted(tally["invariance:greeting"]) == ["fail", "fail", "pass", "pass"]
    assert sorted(tally["direction:urgent"]) == ["fail", "pass"]
    assert {f.severity for f in found if f.kind == "mft:order" and f.status == "fail"} == {0.9}


def test_several_rules_of_one_checklist_test_keep_their_own_detectors(tmp_path: Path) -> None:
    suite = toml(
        tmp_path,
        """
        [[checklist]]
        type = "MFT"
        name = "order"
        template = "Order {order}."
        reference = "order: {order}"
        fill = { order = ["A-1", "B-2"] }
        rules = [
            { rule = "contains", all = ["{order}"] },
            { rule = "contains", all = ["order"] },
            { rule = "exact" },
        ]
        """,
    )
    responses = [Response("m", e.id, "order: A-1") for e in suite.examples]
    found = grade_responses(suite, [], responses)
    first = [(f.detector, f.status) for f in found if f.response == responses[0].id]
    assert first == [
        ("suite:order:contains:1", "pass"),
        ("suite:order:contains:2", "pass"),
        ("suite:order:exact", "pass"),
    ]
    assert [f.status for f in found if f.response == responses[1].id] == ["fail", "pass", "fail"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[[rules]]\nrule = "stopwords"\nwords = ["x"]',
            "unknown rule 'stopwords' (did you mean 'stop_words'?)",
        ),
        ('[[rules]]\nrule = "exact"\nmod = "raw"', "unknown key 'mod' (did you mean 'mode'?)"),
        ('[[rules]]\nrule = "exact"\nmode = "loose"', "mode: "),
        ('[[rules]]\nrule = "regex"\npattern = "("', "not a regular expression"),
        ('[[rules]]\nrule = "length"', "needs one of the keys 'min', 'max', 'max_ratio'"),
        ('[[rules]]\nrule = "contains"', "needs one of the keys 'all'"),
        ('[[rules]]\nrule = "json_schema"\nschema = { type = "nothing" }', "not a JSON Schema"),
        ('[[rules]]\nrule = "json_schema"\nschema_file = "no.json"', "schema_file 'no.json'"),
        ('[[rules]]\nrule = "fields"\nfields = ["a"]\nfree = ["b"]', "'free' names 'b'"),
        ('[[rules]]\nrule = "fields"\nfield = "a"', "'field' does not go with this rule"),
        ('[[rules]]\nrule = "language"\nlanguage = "xx"', "not an ISO 639-1 code"),
        ('[[rules]]\nrule = "consistency"\ncompare = "fields"', "needs the key 'fields'"),
        ('[[rules]]\nrule = "python"\nfunction = "checks"', "not of the form"),
        ('[[rules]]\nrule = "python"\nfunction = "none.py:f"', "no file"),
        ('[[rules]]\nwords = ["x"]', "a rule needs the key 'rule'"),
        (
            '[[rules]]\nrule = "exact"\n[[rules]]\nrule = "exact"',
            "give one of the two rules a 'name'",
        ),
        ('[[rule]]\nrule = "exact"', "unknown key 'rule' (did you mean 'rules'?)"),
        ("rules = 3", "written [[rules]]"),
        ("name = 'empty'", "the suite has no rules"),
        ("[[rules", "not valid TOML"),
        ('[[checklist]]\ntype = "ABC"', "one of MFT, INV, DIR"),
        (
            '[[checklist]]\ntype = "MFT"\nname = "a"\ntemplate = "{x}"\nrules = [{rule = "exact"}]',
            "'{x}' has no filler",
        ),
        ('[[checklist]]\ntype = "DIR"\nname = "a"\ntemplate = "x"', "needs the key 'variant'"),
        (
            '[[checklist]]\ntype = "INV"\nname = "a"\ntemplate = "x"\nfill = {y = ["1"]}',
            "at least two different prompts",
        ),
        ("[[items]]\nrules = []", "an item needs 'example'"),
        ('[[items]]\nmessages = [{ role = "user" }]', "needs 'role' and 'content'"),
        ('[[rules]]\nrule = "length"\nmin = 9\nmax = 3', "'min' (9) is greater than 'max' (3)"),
        (
            '[[items]]\nprompt = "Hi"\nrules = [{rule = "non_empty"}]\n[[items]]\nprompt = "Hi"',
            "the same item as in",
        ),
    ],
)
def test_what_is_refused_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SuiteError) as raised:
        toml(tmp_path, text)
    assert says in str(raised.value)
    assert str(tmp_path / "suite.toml") in raised.value.where
    assert raised.value.exit_code == 2


def test_jsonl_errors_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text('{"rule": "non_empty"}\n\n{"rule": "nope"}\n')
    with pytest.raises(SuiteError) as raised:
        load_suite(path)
    assert raised.value.where == f"{path}:3"
    path.write_text('{"rule": "non_empty"}\n{oops\n')
    with pytest.raises(SuiteError, match="not valid JSON"):
        load_suite(path)
    path.write_text("[1]\n")
    with pytest.raises(SuiteError, match="one JSON object"):
        load_suite(path)


def test_missing_or_strange_files(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such file"):
        load_suite(tmp_path / "none.toml")
    (tmp_path / "s.yaml").write_text("a: 1")
    with pytest.raises(SuiteError, match=r"\.toml or \.jsonl"):
        load_suite(tmp_path / "s.yaml")
    (tmp_path / "s.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SuiteError, match="UTF-8"):
        load_suite(tmp_path / "s.toml")


def test_the_hash_follows_what_is_graded(tmp_path: Path) -> None:
    first = toml(tmp_path, '[[rules]]\nrule = "exact"')
    assert first.hash == toml(tmp_path, 'name = "other"\n[[rules]]\nrule = "exact"').hash
    assert first.hash != toml(tmp_path, '[[rules]]\nrule = "exact"\nmode = "raw"').hash
    assert first.hash != toml(tmp_path, '[[rules]]\nrule = "exact"\ntags = ["a"]').hash


def test_schema_file_equals_inline_schema(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["a"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    by_file = toml(tmp_path, '[[rules]]\nrule = "json_schema"\nschema_file = "schema.json"')
    inline = toml(
        tmp_path, '[[rules]]\nrule = "json_schema"\nschema = { type = "object", required = ["a"] }'
    )
    assert by_file.hash == inline.hash


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('rule = "numeric"\nabs = inf', "abs"),
        ('rule = "numeric"\nvalue = nan', "value"),
        ('rule = "exact"\nseverity = nan', "severity"),
        ('rule = "exact"\nmin_reference_words = 5\nmax_reference_words = 2', "greater than"),
        ('rule = "exact"\nmode = "value"\nanswers = ["a"]', "leave 'answers' out"),
        ('rule = "choices"\nchoices = ["a", "A."]', "the same"),
        ('rule = "choices"\nchoices = ["a", ""]', "empty"),
        ('rule = "stop_words"\nwords = [" "]', "words"),
        ('rule = "contains"\nall = [""]', "all"),
        ('rule = "regex"\npattern = ""', "empty pattern"),
        ('rule = "fields"\nfields = ["a", "A"]', "twice"),
    ],
)
def test_values_by_which_every_or_no_answer_passes_are_refused(
    tmp_path: Path, rule: str, reason: str
) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(f"[[rules]]\n{rule}\n")
    with pytest.raises(SuiteError, match=reason):
        load_suite(path)
