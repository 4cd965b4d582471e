"""What rates and changes count is said wherever both are shown, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.results.run_results import RunResults
from residency.results.units_sentence import tell_mix, tell_units
from residency.web.app import create_app

SAID = "The 12 items of dev are 6 groups of like ones"


def test_nothing_is_said_where_every_item_is_one_group() -> None:
    assert tell_units(["a", "b", "c"]) == ""
    assert tell_units(["a", "a", "c"]).startswith("The 3 items of dev are 2 groups")


def test_a_mix_that_was_asked_for_is_said(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tell_mix([]) == ""
    root = copy_run(finished_run, tmp_path / "project")
    project = Project.open(root)
    assert not any("oversample_dev" in line for line in project.status().conclusion)
    monkeypatch.setattr(RunResults, "oversampled", {"topic=rare": 9})
    said = " ".join(project.status().conclusion)
    assert "more rows of topic=rare than their share" in said
    assert "more rows of topic=rare" in project.report(tmp_path / "report.html").read_text()
    project.store.close()


def test_terminal_report_and_compare_say_it_once(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    project = Project.open(root)
    assert sum(SAID in line for line in project.status().conclusion) == 1
    assert SAID in project.report(tmp_path / "report.html").read_text()
    assert project.compare("base", "final").units.startswith(SAID)
    project.store.close()
    for command in (["status", str(root)], ["compare", str(root), "base", "final"]):
        capsys.readouterr()
        assert run_command_line(command) == 0
        assert " ".join(capsys.readouterr().out.split()).count(SAID) == 1, command


def test_pages_that_show_rates_and_changes_say_it_once(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    issue = Project.open(root).issues()[0].id
    client = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
    told = ("/", "/issues", f"/issues/{issue}", "/compare")
    assert {path: client.get(path).text.count(SAID) for path in told} == dict.fromkeys(told, 1)
    for path in ("/items", "/data", "/read", "/review"):
        assert SAID not in client.get(path).text, path
