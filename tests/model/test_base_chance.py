"""What the base leaves to chance is off in training, however the architecture keeps it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from residency.model.base_chance import switch_chance_off
from tiny_archs import tiny

SHAPE: dict[str, Any] = {
    "vocab_size": 89,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def make_models() -> dict[str, Any]:
    torch.manual_seed(0)
    gpt = transformers.GPTBigCodeConfig(**SHAPE, attn_pdrop=0.5, resid_pdrop=0.5, embd_pdrop=0.5)
    sizes: dict[str, Any] = {
        "vocab_size": 89, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "num_local_experts": 4, "initializer_range": 0.3,
    }  # fmt: skip
    drawing = transformers.PhimoeConfig(**sizes, input_jitter_noise=0.3)
    noisy = transformers.MixtralConfig(**sizes, router_jitter_noise=0.3)
    build = transformers.AutoModelForCausalLM.from_config
    return {
        "gpt_bigcode": build(gpt),
        "gpt2": tiny("gpt2"),
        "phimoe": build(drawing),
        "mixtral": build(noisy),
    }


@pytest.mark.parametrize("kind", ["gpt_bigcode", "gpt2", "phimoe", "mixtral"])
def test_training_mode_gives_what_evaluation_gives(kind: str) -> None:
    model = make_models()[kind].eval()
    ids = torch.tensor([[3, 4, 5, 6, 7, 8]])
    with torch.no_grad():
        want = model(ids).logits
        switch_chance_off(model)
        assert torch.allclose(model.train()(ids).logits, want, atol=1e-6)
