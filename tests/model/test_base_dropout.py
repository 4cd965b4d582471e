"""The base's own dropout is off in training, however the architecture keeps its probability."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from residency.model.base_dropout import switch_dropout_off
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
    return {"gpt_bigcode": transformers.AutoModelForCausalLM.from_config(gpt), "gpt2": tiny("gpt2")}


@pytest.mark.parametrize("kind", ["gpt_bigcode", "gpt2"])
def test_training_mode_gives_what_evaluation_gives(kind: str) -> None:
    model = make_models()[kind].eval()
    ids = torch.tensor([[3, 4, 5, 6, 7, 8]])
    with torch.no_grad():
        want = model(ids).logits
        switch_dropout_off(model)
        assert torch.allclose(model.train()(ids).logits, want, atol=1e-6)
