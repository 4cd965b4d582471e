"""estimate, train and merge on a small project: what people and programs are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.model.load_model import load_model
from residency.store.record_kind import RecordKind
from small import save_model, save_project


@pytest.mark.slow
def test_estimate_train_and_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"))
    assert run_command_line(["estimate", str(root), "--json"]) == 0
    estimated = json.loads(capsys.readouterr().out)
    assert run_command_line(["train", str(root)]) == 0
    told = capsys.readouterr().out.replace("\n", " ")
    assert "the estimate was off by" in told and "loss.json" in told
    project = Project.open(root)
    (model,) = [m for m in project.store.models() if m.adapter]
    against = project.store.records(RecordKind.TRAINING, model.id)[-1]["estimate"]
    assert against["memory"] == estimated["memory"]
    assert abs(against["memory_error"]) < 1

    out = tmp_path / "merged"
    assert (
        run_command_line(["merge", str(root), "--model", model.id, "--out", str(out), "--json"])
        == 0
    )
    proof = json.loads(capsys.readouterr().out)["proof"]
    assert proof["logits"] < 1e-4 < proof["changed"] and proof["same_greedy"] == proof["probes"]
    folder = project.store.artifacts.folder(model.adapter or "")
    ids = torch.tensor([[1, 40, 50, 60]])
    with torch.no_grad():
        want = load_model(project.base.path, folder, device="cpu", merge=False)(ids).logits
        assert torch.allclose(load_model(out, device="cpu")(ids).logits, want, atol=1e-4)
    assert (out / "tokenizer.json").is_file()


def test_the_base_and_a_folder_of_something_else_are_not_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"))
    assert (
        run_command_line(["merge", str(root), "--model", "base", "--out", str(tmp_path / "m")]) == 2
    )
    assert "there is nothing to merge" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_merge_replaces_only_what_it_made_and_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"))
    model = Project.open(root).train()

    def merge(out: Path, *more: str) -> int:
        return run_command_line(["merge", str(root), "--model", model.id, "--out", str(out), *more])

    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "config.json").write_text("{}")  # looks like a model, and is the user's
    (notes / "notes.txt").write_text("mine")
    for more in ((), ("--force",)):
        assert merge(notes, *more) == 2
        assert "not made by Residency" in capsys.readouterr().err
    assert (notes / "notes.txt").read_text() == "mine"

    out = tmp_path / "merged"
    assert merge(out) == 0
    assert merge(out) == 2 and "--force" in capsys.readouterr().err
    assert merge(out, "--force") == 0
    (out / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert merge(out, "--force") == 2
    assert "notes.txt" in capsys.readouterr().err and (out / "notes.txt").exists()


def test_training_refuses_the_settings_that_evaluation_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = save_model(tmp_path / "model")
    (base / "generation_config.json").write_text('{"num_beams": 4}')
    root = save_project(tmp_path / "p", base)
    assert run_command_line(["train", str(root)]) == 2
    assert "num_beams = 4 changes the model's answers" in capsys.readouterr().err


def test_an_adapter_is_merged_into_its_own_base_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, moved = tmp_path / "model", tmp_path / "moved"
    root = save_project(tmp_path / "p", save_model(base))
    model = Project.open(root).train()
    base.rename(moved)
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace(str(base), str(moved)))
    command = ["merge", str(root), "--model", model.id, "--out"]
    assert run_command_line([*command, str(tmp_path / "one")]) == 0
    state = load_file(moved / "model.safetensors")
    name = next(iter(state))
    save_file(
        {**state, name: state[name] * 2}, moved / "model.safetensors", metadata={"format": "pt"}
    )
    capsys.readouterr()
    assert run_command_line([*command, str(tmp_path / "two")]) == 2
    assert "its base is another than this project's" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_evaluation_while_training_takes_the_dev_rows_and_keeps_the_best_step(
    tmp_path: Path,
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"), epochs=3)  # 12 steps
    settings = root / "residency.toml"
    text = settings.read_text().replace(
        "[train]\n", "[train]\neval_every = 2\nearly_stopping = 1\n"
    )
    settings.write_text(text.replace("rank = 4", "rank = 4\nlearning_rate = 0.5"))  # it diverges
    project = Project.open(root)
    model = project.train()
    made = project.store.records(RecordKind.TRAINING, model.id)[-1]
    scores = {
        e["step"]: e["score"] for e in project.store.metrics(made["training"]) if "score" in e
    }
    assert list(scores) == list(range(2, made["steps"] + 1, 2)) and made["steps"] < 12
    assert scores[made["steps"]] <= max(scores.values()) < 0


def test_extend_goes_on_from_the_checkpoint_of_the_last_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"), epochs=1)
    assert run_command_line(["train", str(root), "--extend", "1"]) == 2
    assert "it cannot go on" in capsys.readouterr().err
    project = Project.open(root)
    first = project.train()
    longer = project.train(extend=1)
    made = [project.store.records(RecordKind.TRAINING, model.id)[-1] for model in (first, longer)]
    assert made[1]["steps"] == 2 * made[0]["steps"]
    assert longer.settings["train"]["epochs"] == 2 and first.adapter != longer.adapter
    steps = [row["step"] for row in project.store.metrics(made[1]["training"])]
    assert min(steps) == made[0]["steps"] + 1  # the first epoch was not trained again
    assert project.train(extend=1).id == longer.id  # nothing to do
