"""Models that take few tokens work, down to a length below which no prompt and answer fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from infer_models import tokenizer
from residency.chat.chat_format import ChatFormat
from residency.config.train import TrainConfig
from residency.errors import ModelError
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt, TokenRow
from residency.model.length_classes import LEAST_CONTEXT, read_context_length
from residency.model.load_model import load_model, load_tokenizer
from residency.model.merging import merge_adapter
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions

SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 0, "num_key_value_heads": 2},
    "gpt2": {"n_positions": 0},
    "opt": {"max_position_embeddings": 0, "word_embed_proj_dim": 48, "ffn_dim": 64},
    "mpt": {"max_seq_len": 0},
}
"""Learned, rotary and linear positions, each under the name that its kind has for their number."""


def save(kind: str, positions: int, folder: Path, **values: Any) -> Path:
    shape = {key: value or positions for key, value in SHAPES[kind].items()}
    sizes = {"vocab_size": 400, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    names = {"mpt": {"hidden_size": "d_model", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}}  # fmt: skip
    sizes = {names.get(kind, {}).get(key, key): value for key, value in sizes.items()}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = AutoConfig.for_model(kind, **sizes, **shape, **ends)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, **values}))
    return folder


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("positions", [4, 8, 15, LEAST_CONTEXT - 1])
def test_too_few_positions_are_refused_with_their_number(
    kind: str, positions: int, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=f"has {positions} positions: too few"):
        load_model(save(kind, positions, tmp_path / "base"), device="cpu")


@pytest.mark.parametrize("kind", SHAPES)
def test_the_shortest_context_trains_answers_and_merges(kind: str, tmp_path: Path) -> None:
    base = save(kind, LEAST_CONTEXT, tmp_path / "base")
    assert read_context_length(AutoConfig.from_pretrained(base)) == LEAST_CONTEXT
    ids = (1, *range(30, 28 + LEAST_CONTEXT), 2)
    assert len(ids) == LEAST_CONTEXT
    rows = [TokenRow(f"e{n}", ids, tuple(at > 9 for at in range(len(ids)))) for n in range(2)]
    settings = TrainConfig(rank=2, alpha=4, layers="all", epochs=1, learning_rate=0.1, warmup=0.0)
    train(base, rows, settings, tmp_path / "run", TrainOptions(seed=1))
    merge_adapter(base, tmp_path / "run" / "adapter", tmp_path / "merged")
    engine = LocalEngine(tmp_path / "merged", ChatFormat(load_tokenizer(base)), device="cpu")
    answer = engine.generate([Prompt((Message("user", "hi"),))], Sampling(max_new_tokens=99))[0]
    prompt = len(engine.chat.prompt_ids((Message("user", "hi"),)))
    assert answer.finish == "stop" or prompt + len(answer.token_ids) == LEAST_CONTEXT


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 0.0, "rope_theta": 1e4},
        {"rope_type": "linear", "factor": -2.0, "rope_theta": 1e4},
        {"rope_type": "default", "rope_theta": 0.0},
    ],
)
def test_rotary_frequencies_that_no_text_has_are_refused(
    rope: dict[str, Any], tmp_path: Path
) -> None:
    """A model with infinite ones answers, and its first step of training has no gradient."""
    base = save("llama", 64, tmp_path / "base", rope_parameters=rope)
    with pytest.raises(ModelError, match=r"rotary frequencies .* infinite or negative"):
        load_model(base, device="cpu")
