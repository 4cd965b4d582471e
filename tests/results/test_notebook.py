"""A project and a run in a notebook: short as text, escaped as HTML, and nothing is made for it."""

from __future__ import annotations

from pathlib import Path

from finished_run import copy_run, spoil_answers
from residency.commands.project import Project
from small import save_project


def test_a_summary_is_short_and_escaped(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    spoil_answers(root, "<script>alert(1)</script>")
    project = Project.open(root)
    summary = project.status()
    assert len(repr(summary)) < 500
    assert summary.run in repr(summary)
    page = summary._repr_html_()
    assert len(page) < 20_000
    assert "<script>" not in page
    assert summary.conclusion[0].split(".")[0][:20] in page
    for row in summary.rounds:
        assert row.label in page
    assert summary.run in project._repr_html_()
    assert repr(project) == f"<Project 'small' in {root}>"


def test_a_project_that_was_not_run_says_so_and_makes_nothing(tmp_path: Path) -> None:
    root = save_project(tmp_path / "pro<b>ject", tmp_path / "model")
    page = Project.open(root)._repr_html_()
    assert "Nothing was run here yet" in page
    assert "<b>ject" not in page
    assert not (root / ".residency").exists()
