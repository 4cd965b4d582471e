"""Merging proves itself: the merged folder gives the adapter's outputs, or there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from residency.config.train import TrainConfig
from residency.errors import ModelError, ParityError
from residency.model import merging
from residency.model.load_model import load_model
from residency.model.merging import merge_adapter
from residency.model.peft_adapter import load_adapter, save_adapter
from residency.train.train_engine import Engine
from tiny_archs import rows, tiny

SETTINGS = TrainConfig(rank=4, alpha=8, layers="top-2", learning_rate=3e-2, warmup=0.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and an adapter trained on it."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("merge")
    model = tiny("llama")
    model.save_pretrained(root / "base")
    engine = Engine(model, SETTINGS, total_steps=6)
    for _ in range(6):
        engine.step(rows())
    save_adapter(model, root / "adapter", SETTINGS, "base")
    return root / "base", root / "adapter"


def test_pain_09_the_merged_model_is_the_adapter_not_the_base(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = folders
    proof = merge_adapter(base, adapter, tmp_path / "merged")
    assert proof.logits < 1e-4 < proof.changed
    assert proof.same_greedy == proof.probes == 5
    before, after = (load_file(f / "model.safetensors") for f in (base, tmp_path / "merged"))
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed and all(".layers.1." in k or ".layers.2." in k for k in changed)


def test_pain_09_a_merge_that_differs_leaves_nothing(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = merging.load_model

    def wrong(path: Path, adapter: Path | None = None, **kwargs: object) -> object:
        model = plain(path, adapter, **kwargs)
        if kwargs.get("merge") is True:
            with torch.no_grad():
                model.model.layers[2].mlp.up_proj.weight[0] += 0.5
        return model

    monkeypatch.setattr(merging, "load_model", wrong)
    with pytest.raises(ParityError, match="differs from the adapter"):
        merge_adapter(*folders, tmp_path / "merged")
    assert not list(tmp_path.iterdir())


def test_pain_10_an_adapter_that_does_nothing_is_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = folders
    state = load_file(adapter / "adapter_model.safetensors")
    zero = {k: v * (0 if "lora_B" in k else 1) for k, v in state.items()}
    config = (adapter / "adapter_config.json").read_text()
    (tmp_path / "adapter_config.json").write_text(config)
    save_file(zero, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="changes nothing"):
        load_model(base, tmp_path)
    renamed = {k.replace("q_proj", "query"): v for k, v in state.items()}
    save_file(renamed, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="for another model"):
        load_model(base, tmp_path)


def test_pain_10_tensors_that_are_not_used_are_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    _, adapter = folders
    state = load_file(adapter / "adapter_model.safetensors")
    state["base_model.model.lm_head.weight"] = torch.zeros(3)
    (tmp_path / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    save_file(state, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="not supported"):
        load_adapter(tiny("llama"), tmp_path)


def test_pain_11_the_adapter_holds_lora_weights_alone(folders: tuple[Path, Path]) -> None:
    """Servers (vLLM, for one) reject adapters with ``modules_to_save``."""
    _, adapter = folders
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert not config["modules_to_save"] and config["bias"] == "none"
    assert config["layers_to_transform"] == [1, 2]
    state = load_file(adapter / "adapter_model.safetensors")
    assert all(k.endswith((".lora_A.weight", ".lora_B.weight")) for k in state)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="pickled"):
        load_model(tmp_path)


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    tiny("llama").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
    config["model_type"] = "evil"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()
