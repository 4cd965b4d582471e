"""Report and pages over what a real run leaves in the store (a tiny random model)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from residency.commands.project import Project
from residency.report.write_report import render
from residency.results.item_rows import item_rows
from residency.results.run_evidence import Evidence
from residency.store.store import Store
from residency.web.app import create_app
from small import save_model, save_project


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    root = save_project(folder / "project", save_model(folder / "model"))
    Project.open(root).run()
    return root


def test_a_real_run_is_reported(done: Path) -> None:
    store = Store(done, create=False)
    evidence = Evidence(store)
    page = render(evidence)
    summary = Project.open(done).status()
    assert [arm.label for arm in evidence.arms] == [row.label for row in summary.rounds]
    assert {view.issue.id for view in evidence.issues} == {row.issue.id for row in summary.issues}
    for view in evidence.issues:
        assert view.issue.id in page
    # findings are found again under the run's own scope: the rates of the table follow from them
    arm = evidence.arms[0]
    for kind, rate in arm.scores["kinds"].items():
        failed = {
            f.response
            for f in evidence.findings(arm.model.id, "dev")
            if f.kind == kind and f.status == "fail"
        }
        assert len(failed) == rate["failed"]
    assert 'class="tok trained"' in page
    assert "last loss" in page
    assert re.search(r"Taken together, round 2", page)
    store.close()


def test_a_real_run_has_pages(done: Path) -> None:
    client = TestClient(create_app(done), base_url="http://localhost")
    store = Store(done, create=False)
    evidence = Evidence(store)
    paths = ["/", "/issues", "/items", "/report"]
    paths += [f"/issues/{view.issue.id}" for view in evidence.issues[:2]]
    paths += [f"/items/{example.id}" for example in evidence.examples("dev")[:2]]
    for path in paths:
        assert client.get(path).status_code == 200, path
    assert len(item_rows(evidence)) == len(evidence.examples("dev"))
    store.close()
