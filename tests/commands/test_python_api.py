"""The package's public names: in a notebook, what the commands do."""

from __future__ import annotations

from pathlib import Path

import pytest

import residency
from small import save_model, save_project

pytestmark = pytest.mark.slow


def test_a_project_runs_and_reports_from_python(tmp_path: Path) -> None:
    save_project(tmp_path / "project", save_model(tmp_path / "model"))
    project = residency.Project.open(tmp_path / "project")
    assert isinstance(project, residency.Project)
    checked = project.check()
    assert sum(checked.report.rows.values()) == len(project.examples())
    assert project.estimate().memory > 0
    summary = project.run()
    assert summary.complete
    baseline = project.baseline(limit=4, shots=1)
    assert len(baseline.rows) >= 3
    page = project.report()
    assert page == tmp_path / "project" / "report.html"
    assert "sealed test" in page.read_text(encoding="utf-8")
    assert project.report(tmp_path / "other.html", run=summary.run).exists()


def test_the_public_names_are_few_and_all_there() -> None:
    assert set(residency.__all__) == {"Project", "RunSummary", "__version__", "init"}
    for name in residency.__all__:
        assert getattr(residency, name)
