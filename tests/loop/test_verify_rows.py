"""A made row is refused, with the reason, where the suite or the judge finds a failure in its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from residency.commands.project import Project
from residency.evaluate.judge.judge import Judge
from residency.evaluate.judge.prompts import Rubric
from residency.interfaces import Generation
from residency.loop import measure_kinds
from residency.loop.assess import find_errors
from residency.loop.verify_rows import verify_by_judge, verify_by_suite
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.project.named_kinds import NamedKind, append_kind
from small import save_model, save_project

SUITE = """
name = "small"
[[rules]]
rule = "fields"
fields = ["colour", "thing"]
[[rules]]
rule = "choices"
field = "colour"
choices = ["red", "blue", "green", "brown"]
compare = false
[[rules]]
rule = "length"
max = 12
unit = "words"
[[rules]]
rule = "stop_words"
words = ["as an AI"]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    root = save_project(folder / "project", save_model(folder / "model"))
    (root / "suite.toml").write_text(SUITE)
    return root


def open_with_suite(root: Path, **more: object) -> Project:
    return Project.open(root, overrides={"evaluate.suite": "suite.toml", **more})


def make_row(answer: str, number: int = 0) -> Example:
    prompt = Message("user", "Name colour and thing.", input=f"They sold me a red cup {number}")
    return Example((prompt, Message("assistant", answer)), split="train", why="template")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("colour: red\nthing: cup", ""),
        ("thing: cup", "format: "),
        ("A red cup.", "format: "),
        ("colour: scarlet\nthing: cup", "format (colour): 'scarlet' is none of"),
        ("colour: red\nthing: cup" + " of the very best china from a shop by the sea", "length"),
        ("colour: red\nthing: cup, as an AI", "stop word"),
        ("colour: red\nthing: a cup a cup a cup a cup a cup", "repetition: "),
    ],
)
def test_the_suite_looks_at_the_rows_answer(root: Path, answer: str, reason: str) -> None:
    project = open_with_suite(root)
    verified = verify_by_suite(project, [make_row(answer)])
    assert len(verified.accepted) == (not reason), verified.refused
    assert all(reason in why for _, why in verified.refused)


def test_a_detector_that_is_often_wrong_refuses_nothing(root: Path) -> None:
    project = open_with_suite(root)
    row = make_row("colour: red\nthing: telephnoe recieved")
    response = Response("", row.id, row.reference or "")
    failed = {f.kind for f in find_errors(project, "", [row], [response]) if f.status == "fail"}
    assert failed == {"misspelling"}
    assert verify_by_suite(project, [row]).accepted == [row]


def test_nothing_is_stored_and_what_a_rule_cannot_say_is_counted(root: Path) -> None:
    project = open_with_suite(root)
    (root / "suite.toml").write_text(SUITE + '[[rules]]\nrule = "consistency"\n')
    rows = [make_row("colour: red\nthing: cup", n) for n in range(3)]
    verified = verify_by_suite(open_with_suite(root), rows)
    (root / "suite.toml").write_text(SUITE)
    assert verified.accepted == rows
    silent = list(verified.unscored.values())
    assert len(silent) == 3 and all("suite:consistency" in checks for checks in silent)
    assert project.store.count("responses") == project.store.count("findings") == 0


def test_an_answer_of_another_form_than_its_seeds_is_refused(root: Path) -> None:
    project = Project.open(
        root
    )  # the default suite compares each answer by the form of its reference
    seed, prose = make_row("colour: red\nthing: cup", 1), make_row("It is a red cup.", 2)
    assert verify_by_suite(project, [prose]).accepted == [prose]
    verified = verify_by_suite(project, [prose], seeds={prose.id: seed})
    assert [why for _, why in verified.refused] == [
        "format: the answer has not the form (fields) of the row that it was written like"
    ]


class Scripted:
    """A judge that fails cups, cannot be read about hats, and contradicts itself about pens."""

    def generate(self, prompts: Any, sampling: Any, *, on_result: Any = None, progress: Any = None) -> Any:  # fmt: skip
        answers = []
        for number, prompt in enumerate(prompts):
            text = prompt.messages[-1].content
            verdict = "fail" if "thing: cup" in text else "pass"
            if "thing: pen" in text:
                verdict = "pass" if number % 2 else "fail"
            said = json.dumps({"reason": f"Because {verdict}.", "verdict": verdict})
            answers.append(Generation("Who knows?" if "thing: hat" in text else said))
        return answers


def test_the_judge_leaves_out_what_it_fails_and_what_it_cannot_rate(root: Path) -> None:
    project = open_with_suite(root)
    things = ("box", "cup", "hat", "pen")
    rows = [make_row(f"colour: red\nthing: {thing}") for thing in things]
    rubric = Rubric("made rows", "Is it right?")
    verified = verify_by_judge(project, Judge(Scripted(), "j"), rubric, rows)
    assert verified.accepted == rows[:1]
    assert [(row.reference, why) for row, why in verified.refused] == [
        (rows[1].reference, "judge (made rows): Because fail."),
        (rows[2].reference, "unscored by judge (made rows): the judge's answer cannot be read: 'Who knows?'"),
        (rows[3].reference, "unscored by judge (made rows): the judge's verdict changed with the order of the choices"),
    ]  # fmt: skip


def test_a_kind_of_the_project_that_a_judge_measures_refuses_rows(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_kinds, "open_judge", lambda ws: Judge(Scripted(), "j"))
    append_kind(root, NamedKind("rude", "judge", criterion="Is it polite?"))
    rows = [make_row(f"colour: red\nthing: {thing}") for thing in ("box", "cup", "hat")]
    without = verify_by_suite(open_with_suite(root), rows)
    asked = verify_by_suite(open_with_suite(root, **{"judge.url": "http://127.0.0.1:9/v1"}), rows)
    (root / "kinds.toml").unlink()
    # Without a judge nothing is known of it, which is told and refuses nothing.
    assert without.accepted == rows
    assert all("judge:rude" in checks for checks in without.unscored.values())
    assert asked.accepted == rows[:1]
    assert [why for _, why in asked.refused] == [
        "rude: Because fail.",
        "unscored by rude: the judge's answer cannot be read: 'Who knows?'",
    ]
