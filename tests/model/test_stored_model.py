"""Known bases are read without transformers, and say exactly what transformers says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infer_models import TEXT, folder
from residency.chat.chat_format import ChatFormat
from residency.config.train import TrainConfig
from residency.errors import ModelError
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Choice, Generation, Prompt
from residency.model.base_model import resolve_base
from residency.model.load_model import load_model, load_tokenizer
from residency.model.lora import attach_adapters
from residency.model.peft_adapter import save_adapter
from residency.model.stored_model import StoredModel
from residency.model.stored_tokenizer import StoredTokenizer
from residency.nouns.example import Message
from residency.nouns.response import Sampling

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["tiny", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, and a random one with a chat template."""
    if request.param == "tiny":
        return resolve_base("tiny", fetch=False).path
    return folder(tmp_path_factory.mktemp("llama"), "llama")


def engine(base: Path, *, known: bool) -> LocalEngine:
    """An engine that reads the files itself, or has transformers do it."""
    chat = ChatFormat(StoredTokenizer(base) if known else load_tokenizer(base))
    return LocalEngine(base, chat, device="cpu", threads=1, known=known)


def answers(local: LocalEngine) -> list[Generation]:
    """Greedy answers to a few prompts."""
    prompts = [Prompt((Message("user", text),)) for text in TEXT]
    return local.generate(prompts, Sampling(max_new_tokens=12))


def said(found: list[Generation]) -> list[tuple[tuple[int, ...], float | None]]:
    """Tokens and their log-probability."""
    return [(g.token_ids, g.logprob) for g in found]


def test_weights_and_rotary_tables_are_those_of_transformers(base: Path) -> None:
    stored, loaded = StoredModel(base), load_model(base, device="cpu")
    ours, theirs = dict(stored.named_parameters()), dict(loaded.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    positions = torch.arange(stored.config.max_position_embeddings)[None]
    tables = loaded.model.rotary_emb(torch.zeros(1), positions)
    for mine, its in zip(stored.rotary(positions), tables, strict=True):
        assert torch.equal(mine, its)


def test_the_chat_format_is_that_of_transformers(base: Path) -> None:
    ours, theirs = ChatFormat(StoredTokenizer(base)), ChatFormat(load_tokenizer(base))
    assert ours.hash == theirs.hash
    assert ours.end_ids == theirs.end_ids
    talk = [Message("user", "K-4471, please"), Message("assistant", "Here it is.")]
    assert ours.encode(talk) == theirs.encode(talk)


def test_answers_and_scores_are_bit_for_bit_those_of_the_loaded_model(base: Path) -> None:
    ours, theirs = engine(base, known=True), engine(base, known=False)
    assert ours.fused is not None
    assert theirs.fused is not None  # its probe compared it with transformers' own forward
    assert said(answers(ours)) == said(answers(theirs))
    choices = [[Choice(TEXT[0], " fins"), Choice(TEXT[0], " wings")]]
    assert ours.score(choices) == theirs.score(choices)


def test_adapters_come_and_go_on_a_base_that_was_read(base: Path, tmp_path: Path) -> None:
    model = load_model(base, device="cpu")
    settings = TrainConfig(rank=4, layers="all")
    attach_adapters(model, settings, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora" in name:
                value.add_(torch.randn_like(value) * 0.1)
    save_adapter(model, tmp_path / "adapter", settings, str(base))
    ours, theirs = engine(base, known=True), engine(base, known=False)
    bare = said(answers(ours))
    for local in (ours, theirs):
        local.use_adapter(tmp_path / "adapter")
    assert said(answers(ours)) == said(answers(theirs)) != bare
    ours.use_adapter(None)
    assert said(answers(ours)) == bare


def imported_after(code: str) -> set[str]:
    """Modules that a fresh process holds after ``code``."""
    code += "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    out = subprocess.check_output([sys.executable, "-c", code])
    return set(json.loads(out.splitlines()[-1]))


def test_tinys_first_token_needs_no_transformers_and_its_chat_format_no_torch() -> None:
    """Importing them takes longer than all else (benchmarks/first_token.py has the times)."""
    chat = (
        "from residency.chat.chat_format import ChatFormat\nfrom residency.model.base_model import resolve_base\n"
        "base = resolve_base('tiny')\nchat = ChatFormat(base.tokenizer())\n"
    )
    assert not {"torch", "transformers"} & imported_after(chat)
    first = chat + (
        "from residency.infer.local_engine import LocalEngine\nfrom residency.nouns.example import Message\nfrom residency.nouns.response import Sampling\n"
        "engine = LocalEngine(base.path, chat, known=base.known, device='cpu')\n"
        "assert next(engine.stream([Message('user', 'Hello')], Sampling(max_new_tokens=8)))\n"
    )
    found = imported_after(first)
    assert "torch" in found
    assert not {"transformers", "peft", "httpx"} & found


def test_only_bases_with_our_checksums_are_known(tmp_path: Path) -> None:
    assert resolve_base("tiny").known
    assert not resolve_base(str(folder(tmp_path / "mine", "llama"))).known


def test_what_is_read_otherwise_is_refused(tmp_path: Path) -> None:
    bent = folder(tmp_path / "rope", "llama3-rope")
    with pytest.raises(ModelError, match="rotary"):
        StoredModel(bent)
    other = folder(tmp_path / "other", "llama")
    config = json.loads((other / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = "LlamaTokenizer"
    (other / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="LlamaTokenizer"):
        StoredTokenizer(other)
    half = shutil.copytree(other, tmp_path / "half")
    weights = half / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        StoredModel(half)
