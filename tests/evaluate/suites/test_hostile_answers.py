"""Whatever a model writes, and whatever a user's rule does, a suite answers in time and in words."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from residency.errors import SuiteError
from residency.evaluate.suites.check_suite import check_suite
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response


def example(reference: str | None, prompt: str = "q", **more: Any) -> Example:
    messages = [Message("user", prompt)]
    if reference is not None:
        messages.append(Message("assistant", reference))
    return Example(tuple(messages), **more)


def grade(
    tmp_path: Path, rule: dict[str, Any], answer: str, reference: str | None = None, **more: Any
) -> dict[str, Finding]:
    path = tmp_path / "suite.jsonl"
    lines = [json.dumps(row) for row in (*more.pop("settings", ()), rule)]
    path.write_text("\n".join(lines), encoding="utf-8")
    item = example(reference)
    response = Response("m", item.id, answer, **more.pop("response", {}))
    return {f.kind: f for f in grade_responses(load_suite(path), [item], [response], **more)}


def status(tmp_path: Path, rule: dict[str, Any], answer: str, *rest: Any, **more: Any) -> str:
    (finding,) = grade(tmp_path, rule, answer, *rest, **more).values()
    return finding.status


# --- texts in every script ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "answer", "expected"),
    [
        ({"rule": "stop_words", "words": ["禁止"]}, "这里禁止停车", "fail"),
        ({"rule": "stop_words", "words": ["ห้าม"]}, "ที่นี่ห้ามจอดรถ", "fail"),
        ({"rule": "stop_words", "words": ["駐車"]}, "ここは駐車禁止です", "fail"),
        ({"rule": "stop_words", "words": ["no"]}, "I know", "pass"),
        ({"rule": "stop_words", "words": ["verbo\u00adten"]}, "verboten ist", "fail"),
        ({"rule": "stop_words", "words": ["forbidden"]}, "for\u200bbidden fruit", "fail"),
        ({"rule": "contains", "all": ["5"]}, "15", "fail"),
        ({"rule": "contains", "all": ["5"]}, "it is 5.", "pass"),
        ({"rule": "contains", "any": ["no"]}, "I know it", "fail"),
        ({"rule": "contains", "none": ["no"]}, "I know it", "pass"),
        ({"rule": "contains", "all": ["京"]}, "北京市", "pass"),
        ({"rule": "contains", "all": ["5"], "whole_words": False}, "15", "pass"),
        ({"rule": "contains", "all": ["C++"]}, "written in C++ today", "pass"),
        ({"rule": "contains", "all": ["(a)"]}, "see (a)b", "pass"),
    ],
)
def test_pain_41_words_have_edges_where_their_script_has_them(
    tmp_path: Path, rule: dict[str, Any], answer: str, expected: str
) -> None:
    assert status(tmp_path, rule, answer) == expected


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("北京。", "北京"),
        ("「北京」", "北京"),
        ("Par\u200bis\ufeff", "Paris"),
        ("¿Qué?", "qué"),
        ("القاهرة؟", "القاهرة"),
        ("ＰＡＲＩＳ", "Paris"),
    ],
)
def test_pain_41_marks_around_and_inside_an_answer_do_not_matter(
    tmp_path: Path, answer: str, reference: str
) -> None:
    assert status(tmp_path, {"rule": "exact"}, answer, reference) == "pass"


@pytest.mark.parametrize("pair", [("-5", "5"), ("5 %", "5"), ("C#", "C"), ("北京市", "北京")])
def test_what_means_something_does(tmp_path: Path, pair: tuple[str, str]) -> None:
    assert status(tmp_path, {"rule": "exact"}, *pair) == "fail"


JSON_FIELDS = {"rule": "fields", "fields": ["a"], "parse": "json"}


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ('{"x": 1, "y": [2]}', '{"y": [2], "x": 1}', "pass"),
        ("1", "1.0", "pass"),
        ("1e2", "100", "pass"),
        ("-0.0", "0", "pass"),
        ("12345678901234567890", "12345678901234567891", "fail"),
        ("null", '"null"', "fail"),
        ("true", '"true"', "fail"),
        ("true", "1", "fail"),
        ('"X"', '"x "', "pass"),
        ("[1, 2]", "[2, 1]", "fail"),
    ],
)
def test_json_values_are_compared_by_what_they_mean(
    tmp_path: Path, mine: str, theirs: str, expected: str
) -> None:
    findings = grade(tmp_path, JSON_FIELDS, f'{{"a": {mine}}}', f'{{"a": {theirs}}}')
    assert findings["wrong:a"].status == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_fence_is_read_by_fields_and_schema_alike(tmp_path: Path, newline: str) -> None:
    answer = newline.join(["```json", '{"a": 1}', "```"])
    assert grade(tmp_path, JSON_FIELDS, answer, '{"a": 1}')["wrong:a"].status == "pass"
    rule = {"rule": "json_schema", "schema": {"required": ["a"]}}
    assert status(tmp_path, rule, answer) == "pass"
    assert status(tmp_path, {**rule, "fence": False}, answer) == "fail"


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 2}'])
def test_what_json_forbids_is_no_json(tmp_path: Path, text: str) -> None:
    assert status(tmp_path, {"rule": "json_schema", "schema": {}}, text) == "fail"
    assert grade(tmp_path, JSON_FIELDS, text, '{"a": 1}')["format"].status == "fail"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a": {"9" * 5000}}}',
        f'{{"a": {"[" * 900}{"]" * 900}}}',
        f"{'[' * 100_000}",
        f"{'[' * 100_000}{']' * 100_000}",
        '{"a": 1e999}',
    ],
)
def test_json_that_nobody_can_judge_is_at_worst_unscored(tmp_path: Path, text: str) -> None:
    rules = [
        {"rule": "json_schema", "schema": {"type": "object", "properties": {"a": {}}}},
        JSON_FIELDS,
    ]
    for rule in rules:
        found = grade(tmp_path, rule, text, '{"a": 1}')
        assert {f.status for f in found.values()} <= {"unscored", "fail"}
    extract = {"extract": {"json": "a"}}
    grade(tmp_path, {"rule": "exact"}, text, "1", settings=[extract])


# --- schemas ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"$ref": "https://example.org/a.json#/x"}}},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "other.json"},
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$dynamicRef": "http://127.0.0.1:9/x#y"},
        {"$id": "http://127.0.0.1:9/", "$ref": "elsewhere"},
    ],
)
def test_a_schema_that_leads_out_of_itself_is_refused_and_nothing_is_fetched(
    tmp_path: Path, schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(SuiteError, match=r"[rR]ef"):
        grade(tmp_path, {"rule": "json_schema", "schema": schema}, '{"a": 1}')


def test_a_schema_may_refer_to_itself(tmp_path: Path) -> None:
    tree = {
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}, "type": "object"}},
        "$ref": "#/$defs/node",
        "enum": [{"$ref": "http://not-a-reference"}, {"next": {"next": {}}}],
    }
    rule = {"rule": "json_schema", "schema": tree}
    assert status(tmp_path, rule, '{"next": {"next": {}}}') == "pass"
    assert status(tmp_path, rule, '{"next": {"next": 1}}') == "fail"
    deep = '{"next": ' * 99 + "{}" + "}" * 99
    assert status(tmp_path, {"rule": "json_schema", "schema": {**tree, "enum": []}}, deep) == "fail"


# --- patterns and code --------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["^(a|aa)+$", "^(a+)+$"])
def test_a_pattern_that_backtracks_for_ever_is_named(tmp_path: Path, pattern: str) -> None:
    rule = {"rule": "regex", "pattern": pattern, "name": "letters"}
    text, settings = "a" * 60 + "b", [{"extract": {"regex": pattern}}]
    began = time.monotonic()
    if pattern == "^(a+)+$":  # hours for Python's own engine
        assert status(tmp_path, rule, text) == "fail"
        assert status(tmp_path, {"rule": "exact"}, text, "x", settings=settings) == "fail"
    else:
        with pytest.raises(SuiteError, match=r"suite:letters.*\(a\|aa\)\+\$.*longer than 1 s"):
            grade(tmp_path, rule, text)
        with pytest.raises(SuiteError, match="longer than 1 s"):
            grade(tmp_path, {"rule": "exact"}, text, "x", settings=settings)
    assert time.monotonic() - began < 60
    assert status(tmp_path, rule, "aaa") == "pass"


CODE = """
import pathlib
log = pathlib.Path({log!r})
log.write_text(log.read_text() + "x" if log.exists() else "x")
def right(text, example):
    {body}
"""


def write_rule(folder: Path, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checks.py").write_text(CODE.format(log=str(folder / "log"), body=body))
    (folder / "suite.toml").write_text('[[rules]]\nrule = "python"\nfunction = "checks.py:right"\n')
    return folder / "suite.toml"


def test_a_rule_that_raises_on_everything_stops_before_a_run_with_its_first_exception(
    tmp_path: Path,
) -> None:
    suite = load_suite(write_rule(tmp_path, "return example.no_such_thing"))
    items = [example("a", f"q{i}") for i in range(3)]
    with pytest.raises(SuiteError, match=r"no_such_thing") as caught:
        check_suite(suite, items)
    assert "example.prompt_text" in str(caught.value)
    answers = [Response("m", item.id, "x") for item in items]
    with pytest.raises(SuiteError, match=r"no_such_thing.*all of 3 answers"):
        grade_responses(suite, items, answers)


def test_a_suites_file_runs_once_and_cannot_end_the_program(tmp_path: Path) -> None:
    path = write_rule(tmp_path, "return True")
    suite = load_suite(path)
    item = example("a")
    notes = check_suite(suite, [item])
    grade_responses(suite, [item], [Response("m", item.id, "x")])
    load_suite(path)
    assert (tmp_path / "log").read_text() == "x"
    assert any("runs checks.py:right" in note for note in notes)
    (tmp_path / "checks.py").write_text("raise SystemExit(3)")
    with pytest.raises(SuiteError, match="SystemExit"):
        load_suite(path)


def test_code_outside_the_project_runs_only_when_allowed(tmp_path: Path) -> None:
    write_rule(tmp_path / "elsewhere", "return True")
    project = tmp_path / "project"
    project.mkdir()
    suite = project / "suite.toml"
    suite.write_text('[[rules]]\nrule = "python"\nfunction = "../elsewhere/checks.py:right"\n')
    with pytest.raises(SuiteError, match="outside the project"):
        load_suite(suite, code_root=project)
    assert not (tmp_path / "elsewhere" / "log").exists()
    assert load_suite(suite).rules


# --- where the answer stands --------------------------------------------------------------


@pytest.mark.parametrize(
    ("extract", "answer", "reference"),
    [
        ("last_line", "First I look.\n\nParis\n", "Paris"),
        ("last_number", "3 and 4 make 7 cats", "7"),
        ("last_number", "it costs 1,234.50 €", "1,234.50"),
        ({"regex": r"Answer:\s*(\w+)"}, "Answer: no. Wait. Answer: yes!", "yes"),
        ({"regex": r"[A-D](?=\))"}, "I take (B) here", "B"),
        ("json", 'Here: {"a": [1, 2]} as asked', '{"a": [1, 2]}'),
        ({"json": "answer"}, '{"note": "x"} {"answer": "Paris", "n": 1}', "Paris"),
        ({"json": "answer"}, '{"answer": 7}', "7"),
    ],
)
def test_pain_42_the_answer_is_found_in_a_longer_text(
    tmp_path: Path, extract: Any, answer: str, reference: str
) -> None:
    text = f"<think>the answer is 99 or <no>\nZ</think>{answer}"
    settings = [{"extract": extract}]
    (finding,) = grade(tmp_path, {"rule": "exact"}, text, reference, settings=settings).values()
    assert finding.status == "pass"
    (finding,) = grade(tmp_path, {"rule": "exact"}, text, "other", settings=settings).values()
    assert finding.status == "fail"
    (span,) = finding.spans
    assert reference in text[span.start : span.end]  # the evidence lies where the model wrote it


def test_no_answer_where_one_was_asked_for_is_wrong(tmp_path: Path) -> None:
    settings = [{"extract": {"regex": "Answer: (.*)"}}]
    assert (
        status(tmp_path, {"rule": "exact"}, "I do not know", "Paris", settings=settings) == "fail"
    )


@pytest.mark.parametrize("extract", ["last_word", {"regex": "("}, {"regex": ""}, 3, {"json": 1}])
def test_an_extraction_that_cannot_work_is_refused(tmp_path: Path, extract: Any) -> None:
    with pytest.raises(SuiteError, match="extract"):
        grade(tmp_path, {"rule": "exact"}, "x", "x", settings=[{"extract": extract}])


def test_pain_42_reasoning_is_no_answer_unless_it_is_kept(tmp_path: Path) -> None:
    text = "<think>It may be wrong to say sorry.</think>\n\nParis"
    assert status(tmp_path, {"rule": "exact"}, text, "Paris") == "pass"
    stop = {"rule": "stop_words", "words": ["sorry"]}
    assert status(tmp_path, stop, text) == "pass"
    assert status(tmp_path, stop, text, keep_reasoning=True) == "fail"


class Halves:
    """An embedder that gives nothing for some texts."""

    name = "halves"

    def embed(self, texts: Any) -> Any:
        return np.array([[0.0, 0.0] if "none" in t else [1.0, 0.0] for t in texts], np.float32)


def test_what_has_no_vector_is_unscored(tmp_path: Path) -> None:
    rule = {"rule": "similarity"}
    assert status(tmp_path, rule, "some", "text", embedder=Halves()) == "pass"
    assert status(tmp_path, rule, "none", "text", embedder=Halves()) == "unscored"
    assert status(tmp_path, rule, "some", "none", embedder=Halves()) == "unscored"


def test_the_default_embedder_does_not_judge_scripts_that_it_does_not_know(tmp_path: Path) -> None:
    from residency.embedding.wordllama import WordLlamaEmbedder

    embedder, rule = WordLlamaEmbedder(), {"rule": "similarity"}
    (chinese,) = grade(tmp_path, rule, "今天天气很好", "这个水壶漏水了", embedder=embedder).values()
    assert (chinese.status, "evaluate.embedder" in chinese.message) == ("unscored", True)
    wrong = "Bananas grow in the tropics of America."
    assert (
        status(tmp_path, rule, wrong, "The kettle leaks at its seal.", embedder=embedder) == "fail"
    )


OTHER_LANGUAGES = {
    "Polish": ("Proszę zresetować hasło mojego konta.", "Sąd orzekł na niekorzyść spółki."),
    "Vietnamese": ("Xin hãy đặt lại mật khẩu của tôi.", "Trẻ em học đọc ở trường mỗi ngày."),
    "Turkish": ("Lütfen hesabımın şifresini sıfırlayın.", "Nehir eski köprüyü su altında bıraktı."),
    "Indonesian": (
        "Tolong atur ulang kata sandi akun saya.",
        "Anak-anak belajar membaca di sekolah.",
    ),
    "Swahili": (
        "Tafadhali weka upya nenosiri langu.",
        "Watoto hujifunza kusoma shuleni kila siku.",
    ),
    "Hungarian": (
        "Kérem, állítsa vissza a jelszavamat.",
        "A gyerekek az iskolában tanulnak olvasni.",
    ),
    "Spanish": ("Por favor, restablezca mi contraseña.", "El río inundó el viejo puente ayer."),
}


@pytest.mark.parametrize("language", sorted(OTHER_LANGUAGES))
def test_the_default_embedder_does_not_judge_languages_that_it_was_not_measured_in(
    language: str, tmp_path: Path
) -> None:
    from residency.embedding.wordllama import WordLlamaEmbedder

    reference, answer = OTHER_LANGUAGES[language]
    rule = {"rule": "similarity"}
    found = grade(tmp_path, rule, answer, reference, embedder=WordLlamaEmbedder())
    (check,) = found.values()
    assert (check.status, "evaluate.embedder" in check.message) == ("unscored", True)


@pytest.mark.parametrize(
    ("answer", "reference", "status_then"),
    [
        ("Please reset my password.", "Kindly set a new password for my account.", "pass"),
        ("The river flooded the bridge.", "Kindly set a new password for my account.", "fail"),
        ("Proszę zresetować hasło mojego konta.", "The river flooded the old bridge.", "fail"),
        ("xq zzt brrk lorem vrum", "The river flooded the old bridge.", "fail"),
        ("Kinder lernen in der Schule lesen.", "In der Schule lernen Kinder das Lesen.", "pass"),
        ("Paris", "Paris", "pass"),
        ("colour: red\nthing: cup", "colour: red\nthing: cup", "pass"),
    ],
)
def test_the_default_embedder_judges_what_it_was_measured_in(
    answer: str, reference: str, status_then: str, tmp_path: Path
) -> None:
    from residency.embedding.wordllama import WordLlamaEmbedder

    rule = {"rule": "similarity"}
    assert status(tmp_path, rule, answer, reference, embedder=WordLlamaEmbedder()) == status_then
