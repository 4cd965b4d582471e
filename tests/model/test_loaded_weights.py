"""A folder whose weights and configuration disagree is refused, naming the tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

from residency.errors import ModelError
from residency.model.base_model import resolve_base
from residency.model.load_model import load_model

SIZES = {
    "vocab_size": 89,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


def make_base(folder: Path, **changes: object) -> Path:
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES, **changes)).save_pretrained(folder)
    return folder


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_pain_35_a_folder_without_its_head_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    LlamaModel(LlamaConfig(**SIZES, tie_word_embeddings=False)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"1 tensor \(lm_head.weight\) missing"):
        load_model(tmp_path)


GATE = "model.layers.1.mlp.gate_proj.weight"
NORM = "model.norm.weight"


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda s: s.pop(GATE), f"{GATE}.*missing"),
        (lambda s: s.update({GATE: s[GATE][:-8].contiguous()}), f"{GATE}.*another shape"),
        (lambda s: s.update({"model.layers.2.mlp.gate_proj.weight": s[GATE].clone()}),
         r"model.layers.2.mlp.gate_proj.weight.*no place"),
        (lambda s: s[GATE].view(-1)[3:4].fill_(float("nan")), f"{GATE}.*NaN"),
        (lambda s: s[NORM].view(-1)[:1].fill_(float("inf")), f"{NORM}.*NaN or infinity"),
    ],
    ids=["missing", "shape", "extra", "nan", "inf"],
)  # fmt: skip
def test_pain_35_wrong_tensors_are_named(
    edit: Callable[[dict[str, Tensor]], object], named: str, tmp_path: Path
) -> None:
    edit_weights(make_base(tmp_path), edit)
    with pytest.raises(ModelError, match=named):
        load_model(tmp_path)


def test_weights_that_overflow_are_told_as_that(tmp_path: Path) -> None:
    def enlarge(state: dict[str, Tensor]) -> None:
        for name, tensor in state.items():
            tensor.mul_(1e30 if ".layers.1." in name else 1.0)

    edit_weights(make_base(tmp_path), enlarge)
    with pytest.raises(ModelError, match="logits are NaN or infinite"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_hidden_layers": 3}, r"model.layers.2.*missing"),
        ({"num_hidden_layers": 1}, r"model.layers.1.*no place"),
        ({"vocab_size": 97}, r"another shape"),
        ({"intermediate_size": 40}, r"another shape"),
        ({"tie_word_embeddings": True}, "ties the head to the embeddings"),
        ({"attention_bias": True}, r"bias.*missing"),
    ],
    ids=["deeper", "shallower", "vocabulary", "width", "tied", "bias"],
)
def test_pain_35_a_configuration_that_does_not_describe_the_weights(
    changes: dict[str, object], named: str, tmp_path: Path
) -> None:
    edit_config(make_base(tmp_path), **changes)
    with pytest.raises(ModelError, match=named):
        load_model(tmp_path)


def test_a_sound_folder_loads_and_its_weights_are_its_own(tmp_path: Path) -> None:
    folder = make_base(tmp_path, tie_word_embeddings=True)
    state = load_file(folder / "model.safetensors")
    model = load_model(folder)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, state[name]), name


def test_a_missing_shard_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path, max_shard_size="20KB")
    lost = sorted(tmp_path.glob("model-*.safetensors"))[1]
    lost.unlink()
    for refuse in (load_model, lambda path: resolve_base(str(path))):
        with pytest.raises(ModelError, match=lost.name) as caught:
            refuse(tmp_path)
        assert "again" in caught.value.next_step


@pytest.mark.parametrize("kind", ["bitsandbytes", "gptq", "awq", "fp8", "mxfp4"])
def test_quantised_folders_are_refused_alike_by_training_and_evaluation(
    kind: str, tmp_path: Path
) -> None:
    edit_config(make_base(tmp_path), quantization_config={"quant_method": kind})
    said = set()
    for refuse in (load_model, lambda path: resolve_base(str(path))):
        with pytest.raises(ModelError, match=kind) as caught:
            refuse(tmp_path)
        said.add(str(caught.value))
    assert len(said) == 1


def test_code_of_a_folders_own_is_refused_with_a_next_step(tmp_path: Path) -> None:
    folder = make_base(tmp_path)
    edit_config(folder, model_type="homemade", auto_map={"AutoConfig": "code.Config"})
    with pytest.raises(ModelError, match="never run") as caught:
        load_model(folder)
    assert "transformers" in caught.value.next_step


@pytest.mark.parametrize(
    ("content", "package"),
    [(b"\x0a\x03abc", "sentencepiece"), (b"aGVsbG8= 0\nd29ybGQ= 1\n", "tiktoken")],
)
def test_a_tokenizer_model_alone_names_the_package_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, package: str
) -> None:
    from residency.model import load_model as loading

    folder = make_base(tmp_path)
    (folder / "tokenizer.model").write_bytes(content)
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        loading.load_tokenizer(folder)
    assert package in caught.value.what
    assert caught.value.next_step.startswith(f"pip install {package};")


def divide_shards(folder: Path, changes: dict[str, Tensor], *, leave: bool = False) -> None:
    """The weights in two files with an index; ``changes`` stand in the second file, too."""
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    files = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, held in files.items():
        more = changes if file.startswith("model-00002") else {}
        save_file(
            {**{name: state[name] for name in held}, **more},
            folder / file,
            metadata={"format": "pt"},
        )
    index = {name: file for file, held in files.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    if not leave:
        (folder / "model.safetensors").unlink()


def test_files_that_hold_a_tensor_each_in_its_own_way_are_refused(tmp_path: Path) -> None:
    divide_shards(make_base(tmp_path / "sound"), {})
    load_model(tmp_path / "sound")
    name = "model.norm.weight"
    divide_shards(make_base(tmp_path / "twice"), {name: torch.zeros(32)})
    with pytest.raises(ModelError, match=f"{name} of model-0000.* differ"):
        load_model(tmp_path / "twice")
    base = make_base(tmp_path / "both")
    divide_shards(base, {}, leave=True)
    load_model(base)  # the same twice is no question
    edit_weights(base, lambda state: state[name].mul_(2))
    with pytest.raises(ModelError, match="two files hold one tensor"):
        load_model(base)


def test_whole_numbers_in_place_of_weights_are_refused(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    base = make_base(tmp_path / "base")
    edit_weights(base, lambda state: state.update({name: state[name].to(torch.int8)}))
    with pytest.raises(ModelError, match=f"{name}.*whole numbers"):
        load_model(base)
