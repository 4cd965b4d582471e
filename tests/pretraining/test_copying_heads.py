"""A fresh model with copying heads continues what it has seen, before any training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from residency.errors import ConfigError
from residency.pretraining.copying_heads import set_copying_heads
from residency.pretraining.recipe import load_recipe


def fresh(seed: int = 0, *, layers: int = 3, heads: int = 4) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2000, hidden_size=256, intermediate_size=320, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=2, tie_word_embeddings=True,
            max_position_embeddings=256,
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)
    return model.eval()


@torch.no_grad()
def repeated_right(model: LlamaForCausalLM) -> float:
    """Share of the second half of "x x" whose next token is the most likely one."""
    half = torch.randint(0, 2000, (8, 30), generator=torch.Generator().manual_seed(1))
    ids = torch.cat([half, half], dim=1)
    guess = model(input_ids=ids).logits[:, 31:-1].argmax(-1)
    return float((guess == ids[:, 32:]).float().mean())


def test_random_weights_copy_nothing_and_copying_heads_most() -> None:
    model = fresh()
    assert repeated_right(model) < 0.05
    set_copying_heads(model, seed=0)
    assert repeated_right(model) > 0.7


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two = fresh(), fresh()
    set_copying_heads(one, seed=3)
    set_copying_heads(two, seed=3)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_model_too_small_for_the_circuit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two layers"):
        set_copying_heads(fresh(layers=1), seed=0)
    recipe = tmp_path / "r.toml"
    recipe.write_text("[model]\nlayers = 1\ncopying = true\n")
    with pytest.raises(ConfigError, match="2 layers and 4 heads"):
        load_recipe(recipe)
