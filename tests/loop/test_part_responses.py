"""What earlier rounds did is read from the finding half alone, with the rows that were trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from finished_run import copy_run, share_finished_run
from residency.commands.project import Project
from residency.loop.assess import assess_stored_answers
from residency.loop.part_responses import list_trained_rows, measure_response, measure_responses
from residency.project.dev_split import split_dev
from residency.project.named_models import find_model


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root: Path = share_finished_run(tmp_path_factory)
    return Project.open(copy_run(root, tmp_path_factory.mktemp("responses") / "copy"))


def test_trained_rows_are_those_of_the_models_dataset(project: Project) -> None:
    model = find_model(project, "final")
    assert model.dataset is not None
    rows = list_trained_rows(project, model)
    assert {row.id for row in rows} == set(project.store.dataset(model.dataset).rows)
    assert list_trained_rows(project, find_model(project, "base")) == []


def test_a_response_counts_the_finding_half_and_unscored_items_as_failed(
    project: Project,
) -> None:
    final = assess_stored_answers(project, find_model(project, "final"), "dev")
    base = assess_stored_answers(project, find_model(project, "base"), "dev")
    finding, _ = split_dev(project)
    issue = max(project.issues(), key=lambda one: len(one.examples))
    response = measure_response(project, issue, base, final, finding)
    assert 0 <= response.after <= response.before <= 1
    assert response.before > 0
    assert response.rows_before == 0 < response.rows_after
    known = {issue.id: (issue, final)}
    assert measure_responses(project, known, final, finding) == {}
