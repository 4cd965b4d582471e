"""``train.metric``: the best step by generated answers, and nothing else changed by asking."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from residency.commands.project import Project
from residency.errors import DataError, SuiteError
from residency.loop.assess import answer_and_assess
from residency.loop.metric_while_training import (
    choose_metric_rows,
    hold_out_rows,
    make_metric,
)
from residency.project.dev_split import split_dev
from residency.store.record_kind import RecordKind
from small import save_model, save_project


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metric")
    return save_project(folder / "p", save_model(folder / "model"))


def test_its_score_is_that_of_the_same_answers_afterwards(root: Path) -> None:
    """What is kept with the training is what evaluation says of the stored model on those rows."""
    chosen = {"train.metric": "non_empty", "train.eval_every": 3, "project.name": "small"}
    project = Project.open(root, overrides=chosen)
    model = project.train()
    training = project.store.records(RecordKind.TRAINING, model.id)[-1]
    assert [step for step, _ in training["evaluations"]] == [3, 6, 8]
    rows = choose_metric_rows(project)
    finding, measuring = split_dev(project)
    assert {row.id for row in rows} <= finding
    assert not {row.id for row in rows} & measuring
    assessed = answer_and_assess(project, model, "dev", stage="test")
    answered = {r.example: r.text for r in assessed.responses}
    expected = sum(bool(answered[row.id].strip()) for row in rows) / len(rows)
    assert dict(training["evaluations"])[training["best_step"]] == pytest.approx(expected)
    score = make_metric(project)
    assert score is not None
    assert score(project.store.artifacts.folder(model.adapter or "")) == pytest.approx(expected)


def test_rows_held_out_of_train_train_nothing(root: Path) -> None:
    chosen = {"train.metric": "checks", "train.metric_rows": "train", "train.metric_items": 5}
    project = Project.open(root, overrides=chosen)
    held = {row.id for row in choose_metric_rows(project)}
    assert len(held) == 5
    model = project.train()
    trained = set(project.store.dataset(model.dataset).rows)
    assert trained == {row.id for row in project.split("train")} - held
    training = project.store.records(RecordKind.TRAINING, model.id)[-1]
    assert [step for step, _ in training["evaluations"]] == [3, 6]  # 11 rows: once an epoch
    everything = Project.open(root, overrides={**chosen, "train.metric_items": 99})
    with pytest.raises(DataError, match="held out"):
        hold_out_rows(everything, everything.split("train"))


def test_a_metric_that_is_none_stops_before_anything_is_trained(root: Path) -> None:
    project = Project.open(root, overrides={"train.metric": "accurracy"})
    with pytest.raises(SuiteError, match="no metric and no rule") as raised:
        project.run()
    assert "train.metric" in str(raised.value)
    assert "exact" in str(raised.value)


def test_without_a_metric_trainings_keep_their_names(root: Path) -> None:
    settings = Project.open(root, as_opened=False).config.train
    assert not any(name.startswith("metric") for name in settings.name_what_decides())
    asked = settings.model_copy(update={"metric": "checks"})
    assert {"metric", "metric_rows", "metric_items"} <= asked.name_what_decides().keys()
