"""People's labels of an issue's answers: drawn blindly, kept once a person, and told beside its rate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.label import add_label, import_labels, open_labelling
from residency.commands.project import Project
from residency.commands.read import add_note, group_notes
from residency.errors import DataError, StoreError
from residency.results.issue_labels import load_labels
from residency.results.run_results import RunResults
from small import make_rows, save_model, save_project

DETECTOR = """
from residency.diagnose.detectors.base import Detector, make_finding
from residency.plugins import register_plugin


def detect(items, context):
    return [
        make_finding(
            "odd", "1", item, "fail" if int(item.response.example[-1], 16) < 10 else "pass", severity=0.5
        )
        for item in items
    ]


register_plugin("detectors", "odd", Detector("odd", "1", detect, "It is odd."))
"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 44 dev items; a detector of the project flags ten of sixteen answers."""
    folder = tmp_path_factory.mktemp("labels")
    root = save_project(folder / "p", save_model(folder / "model"), rounds=1, epochs=1)
    lines = [json.dumps({**row, "group": f"g{n}"}) for n, row in enumerate(make_rows(44, "dev"))]
    (root / "dev.jsonl").write_text("\n".join(lines) + "\n")
    (root / "odd.py").write_text(DETECTOR)
    settings = root / "residency.toml"
    text = settings.read_text().replace("[project]", '[project]\nplugins = ["odd.py"]', 1)
    settings.write_text(text.replace("few_shot = 1", "few_shot = 0"))
    Project.open(root).run()
    return root


@pytest.fixture
def project(judged: Path, tmp_path: Path) -> Project:
    return Project.open(copy_run(judged, tmp_path / "run"))


def choose_issue(project: Project) -> str:
    return next(r.issue.id for r in RunResults(project.store).issues if r.issue.kind == "odd")


def flag_answers(project: Project, issue: str) -> dict[str, bool]:
    results = RunResults(project.store)
    own = results.issue(issue).issue
    failures = results.answers.item_failures(results.final_id, "dev", own.kind, own.detector)
    return {outcome.response: bad for bad, outcome in failures.values() if bad is not None}


def test_labels_correct_the_rate_in_status_report_and_python(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = choose_issue(project)
    flags = flag_answers(project, issue)
    state = open_labelling(project, issue, person="ann")
    assert state.corrected is None
    assert "At least" in state.sentence
    # One flagged and one other answer a pair, in no order that would tell which is which.
    turns = [flags[response] for response in state.left]
    pairs = list(zip(turns[:12:2], turns[1:12:2], strict=True))
    assert {frozenset(pair) for pair in pairs} == {frozenset((True, False))}
    assert len(set(pairs)) == 2
    half = project.label(
        issue, {r: flags[r] and n % 4 == 0 for n, r in enumerate(state.left)}, person="ann"
    )
    assert half.corrected is not None
    assert half.corrected.rate < half.corrected.seen
    assert not set(half.left) & set(state.left)
    row = next(row for row in project.status().issues if row.issue.id == issue)
    assert row.labelled == half.corrected
    root = str(project.root)
    capsys.readouterr()
    assert run_command_line(["status", root]) == 0
    assert "of your labels" in " ".join(capsys.readouterr().out.split())
    capsys.readouterr()
    assert run_command_line(["report", root]) == 0
    assert "really fail" in (project.root / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert run_command_line(["label", root, issue, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["corrected"]["rate"] == pytest.approx(half.corrected.rate)


def test_a_file_of_labels_is_taken_whole_or_not_at_all(project: Project, tmp_path: Path) -> None:
    issue = choose_issue(project)
    state = open_labelling(project, issue)
    answer = project.store.responses_by_id(state.left[:1])[state.left[0]]
    file = tmp_path / "labels.jsonl"
    rows = [{"response": r, "fails": True} for r in state.left[1:3]]
    rows.append({"example": answer.example, "fails": False, "person": "bob"})
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert import_labels(project, file, state, "ann") == 3
    labels = load_labels(project.store, state.issue.kind, state.model)
    assert labels == {state.left[0]: False, state.left[1]: True, state.left[2]: True}
    for wrong in ({"response": "r-none", "fails": True}, {"response": state.left[3]}, ["x"]):
        file.write_text(
            json.dumps({"response": state.left[4], "fails": True}) + "\n" + json.dumps(wrong)
        )
        with pytest.raises(DataError) as raised:
            import_labels(project, file, state, "ann")
        assert ":2" in str(raised.value)
    assert load_labels(project.store, state.issue.kind, state.model) == labels


def test_people_who_disagree_and_readers_who_saw_another_failure(project: Project) -> None:
    issue = choose_issue(project)
    state = open_labelling(project, issue)
    kind, first, second, third, fourth = state.issue.kind, *state.left[:4]
    add_label(project, first, kind, True, "ann")
    add_label(project, first, kind, False, "bob")
    assert first not in load_labels(project.store, kind, state.model)
    add_label(project, first, kind, True, "bob")  # thought better of it
    assert load_labels(project.store, kind, state.model)[first] is True
    add_note(project, second, "", "ann")
    note = add_note(project, third, "it says so twice", "ann")
    add_note(project, fourth, "rude", "ann")
    group_notes(project, [note.id], kind, "ann")
    labels = load_labels(project.store, kind, state.model)
    assert (labels[second], labels[third], labels[fourth]) == (False, True, None)
    add_label(project, fourth, kind, False, "ann")  # asked of this very failure
    assert load_labels(project.store, kind, state.model)[fourth] is False
    with pytest.raises(StoreError, match="no answer"):
        add_label(project, "r-0", kind, True, "ann")
