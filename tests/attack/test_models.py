"""Damaged model folders and GGUF files: loaded, or refused by name; never a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from fuzz import Fuzz
from mutate import mutate_bytes, mutate_json
from residency.errors import ModelError, ResidencyError
from residency.model.gguf import convert_gguf
from residency.model.load_model import load_model, load_tokenizer
from small import save_model

COUNT = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("attack") / "model")


def copy_with(model: Path, folder: Path, name: str, data: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    (folder / name).write_bytes(data)
    return folder


def open_model(folder: Path) -> None:
    load_tokenizer(folder)
    load_model(folder, device="cpu")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_strange_values_in_a_folders_json(
    model: Path, tmp_path: Path, name: str, fuzz: Fuzz
) -> None:
    raw = json.loads((model / name).read_text(encoding="utf-8"))
    if name == "tokenizer.json":
        raw["model"]["vocab"] = dict(list(raw["model"]["vocab"].items()))
    values = mutate_json(raw, fuzz.count(COUNT), fuzz.seed(len(name)))
    inputs = (json.dumps(value).encode("utf-8", "surrogatepass") for value in values)

    def load(data: bytes) -> None:
        open_model(copy_with(model, tmp_path / "m", name, data))

    fuzz.attack(inputs, load, (ResidencyError,))


@pytest.mark.parametrize("count", [10**6, 2**70])
@pytest.mark.parametrize("name", ["num_hidden_layers", "num_experts"])
def test_layers_without_weights_are_refused_before_they_are_built(
    model: Path, tmp_path: Path, name: str, count: int
) -> None:
    raw = json.loads((model / "config.json").read_text(encoding="utf-8")) | {name: count}
    with pytest.raises(ModelError, match=f"{name} is .* tensors"):
        open_model(copy_with(model, tmp_path / "m", "config.json", json.dumps(raw).encode()))


@pytest.mark.filterwarnings("ignore")
def test_damaged_weights(model: Path, tmp_path: Path, fuzz: Fuzz) -> None:
    source = (model / "model.safetensors").read_bytes()
    header = int.from_bytes(source[:8], "little")

    def load(data: bytes) -> None:
        weights = data + source[8 + header :]
        open_model(copy_with(model, tmp_path / "m", "model.safetensors", weights))

    inputs = mutate_bytes(source[: 8 + header], fuzz.count(COUNT), fuzz.seed(5))
    fuzz.attack(inputs, load, (ResidencyError,))
    with pytest.raises(ResidencyError):
        half = source[: len(source) // 2]
        open_model(copy_with(model, tmp_path / "m", "model.safetensors", half))


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "c", "d"])
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_damaged_gguf_files(gguf_file: bytes, tmp_path: Path, fuzz: Fuzz) -> None:
    def convert(data: bytes) -> None:
        file = tmp_path / "m.gguf"
        file.write_bytes(data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        convert_gguf(file, tmp_path / "out")

    inputs = mutate_bytes(gguf_file, fuzz.count(COUNT), fuzz.seed(6))
    fuzz.attack(inputs, convert, (ResidencyError,))
