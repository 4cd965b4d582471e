"""A stored adapter that was changed is noticed when it is opened, told by doctor, and made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.results.run_results import RunResults
from residency.store.store import Store


def change_alpha(folder: Path) -> None:
    path = folder / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    assert settings["lora_alpha"] != 9999
    path.write_text(json.dumps({**settings, "lora_alpha": 9999}), encoding="utf-8")


def flip_a_bit(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)


def add_a_file(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(b"anything")


def take_a_file(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


CHANGES = (change_alpha, flip_a_bit, add_a_file, take_a_file)


def find_final_adapter(root: Path) -> tuple[str, str, Path]:
    """A trained model, its adapter's hash and its folder."""
    store = Store(root, create=False)
    model = next(m for m in RunResults(store).models if m.model.adapter)
    place = store.artifacts.path_of(model.model.adapter)
    store.close()
    return model.id, model.model.adapter, place


@pytest.mark.parametrize("change", CHANGES)
def test_pain_09_a_changed_stored_adapter_is_refused_wherever_it_is_opened(
    change: Callable[[Path], None],
    finished_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    model, _, folder = find_final_adapter(root)
    change(folder)
    out = tmp_path / "out"
    for line in (
        ["merge", str(root), "--model", model, "--out", str(out)],
        ["export", str(root), "--model", model, "--out", str(out)],
        ["doctor", str(root)],
    ):
        assert run_command_line(line) == 2, line
        told = capsys.readouterr()
        assert "changed" in told.out + told.err, line
        assert "residency doctor" in told.err + told.out, line
        assert not out.exists(), line


def test_doctor_repair_opens_the_training_again_and_the_run_makes_the_same_adapter(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    model, digest, folder = find_final_adapter(root)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    change_alpha(folder)

    assert run_command_line(["doctor", str(root), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert not told["healthy"]
    assert model in told["problems"][0]
    assert not told["repaired"]
    assert folder.exists()  # looking changes nothing

    assert run_command_line(["doctor", str(root), "--repair", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"]
    assert model in told["repaired"][0]
    aside = folder.with_name(f"{folder.name}.changed-1")
    assert "9999" in (aside / "adapter_config.json").read_text(encoding="utf-8")
    assert not folder.exists()

    assert run_command_line(["run", str(root)]) == 0
    assert (folder / "adapter_model.safetensors").read_bytes() == weights
    assert run_command_line(["doctor", str(root)]) == 0
    store = Store(root, create=False)
    assert store.artifacts.check_artifact(digest) == "whole"
    store.close()
