"""The training step of a round: which base it names, which rows choose a step, what it leaves behind."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.diagnose.dev_halves import split_halves
from residency.loop.extendable_training import ABANDONED_SECONDS
from residency.loop.fine_tune import encode_checkpoint_rows
from residency.store.record_kind import RecordKind
from small import make_rows, save_model, save_project


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_a_relative_base_is_seen_from_the_project_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path / "models" / "small")
    lines = [json.dumps(row) for row in make_rows(12, "train")]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    command = ["init", "deep/project", "--train", "rows.jsonl", "--base", "models/small"]
    assert run_command_line(command) == 0
    root = tmp_path / "deep" / "project"
    assert 'base = "../../models/small"' in (root / "residency.toml").read_text()
    for place in (tmp_path, root, Path("/")):
        monkeypatch.chdir(place)
        assert Project.open(root).base.path.resolve() == tmp_path / "models" / "small"


def test_training_names_the_base_as_the_user_did_and_says_what_it_reaches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"))
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace(str(tmp_path / "model"), "../model"))
    work = root / ".residency" / "work"
    for name, age in (("recent", 0), ("abandoned", ABANDONED_SECONDS + 60)):
        (work / name).mkdir(parents=True)
        os.utime(work / name, (time.time() - age,) * 2)
    assert run_command_line(["train", str(root)]) == 0
    assert "adapters reach" in capsys.readouterr().err.replace("\n", " ")
    project = Project.open(root)
    (model,) = [m for m in project.store.models() if m.adapter]
    adapter = project.store.artifacts.folder(model.adapter or "")
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../model"
    notes = project.store.records(RecordKind.TRAINING, model.id)[-1]["notes"]
    assert any(note.startswith("adapters reach") for note in notes)
    assert (work / "recent").exists() and not (work / "abandoned").exists()


def test_the_measuring_half_of_dev_never_chooses_a_step(tmp_path: Path) -> None:
    project = Project.open(save_project(tmp_path / "p", save_model(tmp_path / "model")))
    finding, measuring = split_halves(
        project.split("dev"),
        project.config.project.seed,
        share=project.config.diagnose.finding_share,
    )
    chosen = {row.example for row in encode_checkpoint_rows(project)}
    assert chosen and chosen <= finding and not chosen & measuring
