"""Reading: notes stay, modes become kinds, and a later grading measures them under their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finished_run import CONTROL, EVIL, copy_run
from residency.cli.invoke import run_command_line
from residency.commands import read as work
from residency.commands.project import Project
from residency.commands.propose_kind import add_kind, propose_kind
from residency.commands.suite import try_suite, write_suite_draft
from residency.errors import ConfigError, SuiteError, UserError
from residency.loop.assess import assess_stored_answers
from residency.project.dev_split import split_dev
from residency.project.named_kinds import (
    KINDS_FILE,
    NamedKind,
    append_kind,
    check_mode_name,
    read_kinds,
)
from residency.results.run_results import RunResults


@pytest.fixture
def project(finished_run: Path, tmp_path: Path) -> Project:
    return Project.open(copy_run(finished_run, tmp_path / "project"))


def read_all(project: Project, reader: str, *, bad: int = 3) -> work.Reading:
    reading = project.read("base", reader=reader)
    for number, answer in enumerate(reading.left):
        project.note(answer.response, "no colour" if number < bad else "", reader=reader)
    return project.read("base", reader=reader)


def test_only_the_finding_part_is_read_and_a_sample_is_drawn_once(project: Project) -> None:
    reading = project.read("base", reader="ann")
    finding, _ = split_dev(project)
    assert {answer.example for answer in reading.sample} <= finding
    assert {answer.chosen for answer in reading.sample} <= {"representative", "random", "both"}
    again = project.read("base", reader="bob")
    assert again.sample == reading.sample
    assert project.read("base", reader="ann", count=1).sample == reading.sample


def test_notes_modes_and_readers_are_kept_with_who_and_when(project: Project) -> None:
    ann = read_all(project, "ann", bad=2)
    assert ann.left == ()
    bob = project.read("base", reader="bob")
    assert len(bob.left) == len(bob.sample)
    project.note(bob.left[0].response, f"{EVIL}{CONTROL}", reader="bob")
    project.group_notes([note.id for note in ann.ungrouped], "no colour", reader="ann")
    reading = project.read("base", reader="ann")
    assert [mode.name for mode in reading.modes] == ["no colour"]
    assert all(note.at for note in reading.notes)
    assert reading.agreement.shared == 1
    assert reading.agreement.readers == ("ann", "bob")
    with pytest.raises(UserError, match="no note of a failure"):
        project.group_notes(["note-none"], "x", reader="ann")
    with pytest.raises(UserError, match="no mode"):
        work.rename_mode(project, "never", "other", "ann")
    with pytest.raises(UserError, match="cannot be a mode"):
        project.group_notes([reading.notes[0].id], "wrong:urgency", reader="ann")
    with pytest.raises(UserError, match="characters"):
        project.note(bob.left[0].response, "x" * 3000, reader="bob")


def test_a_kind_by_reading_is_measured_where_somebody_read_and_unscored_elsewhere(
    project: Project,
) -> None:
    reading = read_all(project, "ann", bad=2)
    project.group_notes([note.id for note in reading.ungrouped], "no colour", reader="ann")
    proposal = project.name_kind("no colour", "reading", reader="ann")
    assert proposal.agreement is None
    assert [kind.name for kind in read_kinds(project.root)] == ["no colour"]
    fresh = Project.open(project.root)
    assessed = assess_stored_answers(fresh, fresh.model("base"), "dev")
    said = {f.response: f.status for f in assessed.findings if f.kind == "no colour"}
    assert {r.id for r in assessed.responses} == set(said)
    read = {note.response: note for note in reading.notes}
    assert {key for key, status in said.items() if status != "unscored"} == set(read)
    assert sum(status == "fail" for status in said.values()) == 2
    project.name_kind("no colour", "nothing", reader="ann")
    assert read_kinds(project.root) == []


def test_a_rule_of_ones_own_joins_the_suite_under_the_modes_name(project: Project) -> None:
    reading = read_all(project, "ann", bad=2)
    project.group_notes([note.id for note in reading.ungrouped], "too long", reader="ann")
    rule = {"rule": "length", "unit": "chars", "max": 1}
    proposal = propose_kind(project, "too long", "rule", rule=rule, reader="ann")
    assert proposal.agreement is not None
    assert proposal.agreement.tn == 2  # it marks every answer, the two failing ones among them
    assert not proposal.kind.usable  # and the fine ones as well
    add_kind(project, proposal)
    before = Project.open(project.root)
    assert "suite:too long" not in {r.detector for r in before.suite.rules}
    assessed = assess_stored_answers(before, before.model("base"), "dev")
    assert {f.status for f in assessed.findings if f.kind == "too long"} == {"unscored"}
    append_kind(project.root, NamedKind("too long", "rule", rule=rule, usable=True))
    after = Project.open(project.root)
    assert "suite:too long" in {r.detector for r in after.suite.rules}
    assert after.run_id != before.run_id
    kinds = assess_stored_answers(after, after.model("base"), "dev").kind_outcomes
    assert any(kinds["too long"].values())


def test_a_judge_needs_an_endpoint_and_a_rule_needs_fine_answers(project: Project) -> None:
    reading = read_all(project, "ann", bad=1000)
    project.group_notes([note.id for note in reading.ungrouped], "all bad", reader="ann")
    with pytest.raises(UserError, match="0 fine ones"):
        propose_kind(project, "all bad", "rule", reader="ann")
    with pytest.raises(ConfigError, match="no endpoint"):
        propose_kind(project, "all bad", "judge", reader="ann")


def test_kinds_are_appended_and_hostile_names_stay_names(tmp_path: Path) -> None:
    for number, name in enumerate(("<b>x</b>", "a ] = '''", "ünï „q“", "a ] = '''")):
        append_kind(tmp_path, NamedKind(check_mode_name(name), "reading", severity=number / 10))
    kinds = {kind.name: kind for kind in read_kinds(tmp_path)}
    assert list(kinds) == ["<b>x</b>", "ünï „q“", "a ] = '''"]
    assert kinds["a ] = '''"].severity == 0.3  # the later entry counts
    assert (tmp_path / KINDS_FILE).read_text().count("[[kinds]]") == 4
    for wrong in ("", "a:b", "x" * 61, "a\x1bb"):
        with pytest.raises(UserError):
            check_mode_name(wrong)
    (tmp_path / KINDS_FILE).write_text('[[kinds]]\nname = "x"\nby = "magic"\n')
    with pytest.raises(ConfigError, match="magic"):
        read_kinds(tmp_path)


def test_the_command_notes_groups_and_prints_json(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(project.root)
    assert run_command_line(["read", folder, "--model", "base", "--reader", "ann", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    first = body["left"][0]["response"]
    words = ["read", folder, "--model", "base", "--reader", "ann"]
    assert run_command_line([*words, "--note", f"{first}={EVIL}{CONTROL}", "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert run_command_line([*words, "--group", f"odd={note['id']}"]) == 0
    out = capsys.readouterr().out
    assert "odd" in out
    assert "\x1b]0" not in out
    assert run_command_line([*words, "--rename", "odd=stranger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["modes"][0]["name"] == "stranger"
    assert run_command_line([*words, "--note", "nothing"]) == 2


def test_a_run_keeps_its_sensitivity_and_the_draft_never_overwrites(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = RunResults(project.store).sensitivity
    assert kept is not None
    assert kept.probe("reference") is not None
    drafted = write_suite_draft(project, use=True)
    assert drafted.path is not None
    assert drafted.drafted is not None
    before = drafted.path.read_text()
    with pytest.raises(SuiteError, match="already"):
        write_suite_draft(project)
    fresh = Project.open(project.root)
    assert fresh.config.evaluate.suite == "suite.toml"
    assert try_suite(fresh) == drafted.drafted
    assert drafted.path.read_text() == before
    assert run_command_line(["suite", "test", str(project.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == drafted.drafted.items
    assert run_command_line(["suite", "draft", str(project.root), "--dry-run"]) == 0
    assert "fields" in capsys.readouterr().out
