"""A suite with items of its own inside a project: they are asked, graded and stored like dev rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.errors import SuiteError
from residency.evaluate.suites.check_suite import check_suite
from residency.evaluate.suites.load_suite import load_suite
from residency.nouns.example import Example, Message
from small import save_model, save_project

SUITE = """
instruction = "Name colour and thing."
[[rules]]
rule = "fields"
fields = ["colour", "thing"]
[[checklist]]
type = "MFT"
name = "plain"
template = "A {colour} cup."
fill = { colour = ["red", "blue"] }
rules = [{ rule = "contains", all = ["{colour}"] }]
[[checklist]]
type = "INV"
name = "greeting"
template = "{hello} here is a red hat."
fill = { hello = ["Hi,", "Hello,"] }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = save_project(tmp_path / "p", save_model(tmp_path / "model"))
    settings = made / "residency.toml"
    settings.write_text(settings.read_text().replace("[evaluate]", '[evaluate]\nsuite = "s.toml"'))
    (made / "s.toml").write_text(SUITE)
    return made


def test_the_suites_items_are_asked_and_graded(folder: Path) -> None:
    project = Project.open(folder)
    own = [e for e in project.split("dev") if e.why == "suite"]
    assert len(own) == 4
    assert len(project.split("dev")) == 12 + 4
    assessed = project.evaluate("base")
    kinds = assessed.scores.kinds
    assert kinds["mft:plain"].total == 2
    assert kinds["invariance:greeting"].total == 1
    assert kinds["format"].total == 16
    assert {r.example for r in assessed.responses} >= {e.id for e in own}
    assert {e.id for e in own} <= {e.id for e in project.store.corpus(project.run_id, "dev")}
    before = project.store.count("responses")
    Project.open(folder).evaluate("base")
    assert project.store.count("responses") == before


def test_a_rule_without_references_stops_before_anything_is_generated(folder: Path) -> None:
    (folder / "s.toml").write_text(
        '[[rules]]\nrule = "exact"\ntags = ["nowhere"]\n[[rules]]\nrule = "numeric"\nname = "n"\n'
        'tags = ["bare"]\n[[items]]\nprompt = "How many?"\ntags = ["bare"]\n'
    )
    with pytest.raises(SuiteError, match="none of its 1 examples has one"):
        Project.open(folder).evaluate("base")
    (folder / "s.toml").write_text('[[rules]]\nrule = "non_empty"\ntags = ["nowhere"]\n')
    (note,) = (n for n in Project.open(folder).corpus.notes if n.startswith("suite:"))
    assert note == "suite:non_empty: no example is in its scope (tags nowhere)"


def test_a_misspelt_field_is_refused_with_the_nearest_known_one(folder: Path) -> None:
    """Otherwise every answer would fail, or no check ever be scored."""
    for rule in ('"fields"\nfields = ["color"]', '"non_empty"\nfield = "color"'):
        (folder / "s.toml").write_text(f"[[rules]]\nrule = {rule}\n")
        with pytest.raises(SuiteError, match=r"did you mean 'colour'.*\n.*colour, thing"):
            Project.open(folder).evaluate("base")
    # Prose with a colon in it is no list of fields.
    prose = Example((Message("user", "q"), Message("assistant", "Note: fine\nand more words")))
    (folder / "s.toml").write_text('[[rules]]\nrule = "non_empty"\nfield = "colour"\n')
    assert check_suite(load_suite(folder / "s.toml"), [prose]) == ()


def write_function(folder: Path, body: str) -> None:
    (folder / "checks.py").write_text(f"def boom(response, example):\n    return {body}\n")
    (folder / "s.toml").write_text(
        '[[rules]]\nrule = "python"\nfunction = "checks.py:boom"\n'
        '[[rules]]\nrule = "non_empty"\ntags = ["nowhere"]\n'
    )


def test_pain_50_a_users_function_that_always_fails_stops_before_anything_is_generated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_function(folder, "1 / 0")
    assert run_command_line(["eval", str(folder)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "suite:boom raised ZeroDivisionError: division by zero" in told
    assert Project.open(folder).store.count("responses") == 0


def test_pain_50_a_users_function_that_fails_on_some_items_is_told_beside_the_scores(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_function(folder, "1 / 0 if 'red' in example.prompt_text.split() else True")
    reds = sum("red" in e.prompt_text.split() for e in Project.open(folder).split("dev"))
    assert 0 < reds < 12
    assert run_command_line(["eval", str(folder)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"boom was not judged in {reds} of 12: suite:boom raised ZeroDivisionError" in told
    assert "suite:non_empty: no example is in its scope (tags nowhere)" in told
