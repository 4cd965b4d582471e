"""A batch never changes an answer, also where a model counts positions from the padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BigBirdPegasusConfig,
    BlenderbotConfig,
    GitConfig,
)

from infer_models import engine, folder, prompts, tokenizer
from residency.infer.generic_model import GenericModel
from residency.nouns.response import Sampling

SHAPE = {
    "vocab_size": 400,
    "d_model": 48,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "max_position_embeddings": 256,
    "init_std": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "is_decoder": True,
    "is_encoder_decoder": False,
}
KINDS = {
    "bart": BartConfig,
    "blenderbot": BlenderbotConfig,
    "bigbird_pegasus": BigBirdPegasusConfig,
}


def save_decoder(at: Path, kind: str) -> Path:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS[kind](**SHAPE))
    model.generation_config.pad_token_id = 0
    model.save_pretrained(at)
    tokenizer().save_pretrained(at)
    return at


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_decoders_that_count_from_the_padding_answer_alone(kind: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    local = engine(save_decoder(tmp_path / "base", kind))
    assert local.generic.one_by_one
    asked = prompts(5)
    answers = local.generate(asked, Sampling(max_new_tokens=8))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    for prompt, answer in zip(asked, answers, strict=True):
        ids = local.chat.prompt_ids(prompt.messages)
        out = plain.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=8,
            do_sample=False,
        )[0, len(ids) :].tolist()
        assert list(answer.token_ids) == out[: len(answer.token_ids)]
        assert len(answer.token_ids) in (8, len(out))


def test_a_model_that_masks_other_tokens_with_a_cache_answers_alone() -> None:
    """GIT takes the first places of its cache for an image's, whatever the padding is."""
    torch.manual_seed(0)
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 16,
    }  # fmt: skip
    config = GitConfig(
        vision_config=vision, vocab_size=400, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, initializer_range=0.3,
    )  # fmt: skip
    assert GenericModel(AutoModelForCausalLM.from_config(config).eval()).one_by_one


@pytest.mark.parametrize("kind", ["gpt2", "gemma", "mistral-window"])
def test_models_that_leave_padding_out_keep_their_batches(kind: str, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder(tmp_path / "base", kind)).eval()
    assert not GenericModel(model).one_by_one
