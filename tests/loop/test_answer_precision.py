"""``generate.precision``: answers and scores in bf16 stand beside those in fp32 and never in their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from residency.commands.project import Project
from residency.jobs.job_workspace import choose_job_settings
from residency.nouns.response import Sampling
from small import RIVERS, save_model, save_project


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precision")
    return save_project(folder / "project", save_model(folder / "model"))


def open_with(root: Path, precision: str) -> Project:
    return Project.open(root, overrides={"generate.precision": precision})


def test_stored_answers_in_fp32_keep_their_names() -> None:
    assert "precision" not in Sampling().to_dict()
    assert Sampling(precision="bf16").to_dict() != Sampling().to_dict()


def test_each_precision_has_answers_of_its_own(root: Path) -> None:
    wide, narrow = open_with(root, "fp32"), open_with(root, "bf16")
    first = wide.evaluate()
    second = narrow.evaluate()
    assert narrow.engine.precision == "bf16" and narrow.exact_engine.precision == "fp32"
    model = first.model.id
    assert second.model.id == model
    dev = wide.split("dev")
    sides = [p.store.responses(model, dev, p.sampling) for p in (wide, narrow)]
    assert [len(side) for side in sides] == [len(dev), len(dev)]
    assert {r.id for r in sides[0]}.isdisjoint(r.id for r in sides[1])
    (again,) = {r.sampling.precision for r in open_with(root, "bf16").store.responses(model, dev, narrow.sampling)}  # fmt: skip
    assert again == "bf16"


def test_a_precision_is_part_of_a_run_and_of_its_jobs(root: Path) -> None:
    wide, narrow = open_with(root, "fp32"), open_with(root, "bf16")
    assert wide.run_id != narrow.run_id
    assert "precision" not in choose_job_settings(wide)["generate"]
    assert choose_job_settings(narrow)["generate"]["precision"] == "bf16"


def test_benchmarks_are_measured_once_a_precision(root: Path) -> None:
    (root / "rivers.toml").write_text(RIVERS)
    questions = [{"question": "Is it late?", "answer": 1}, {"question": "Is it cold?", "answer": 0}]
    (root / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    stored = [
        open_with(root, precision).bench(["rivers.toml"], models=["base"]).models[0].stored
        for precision in ("fp32", "bf16", "fp32", "bf16")
    ]
    assert stored == [False, False, True, True]
