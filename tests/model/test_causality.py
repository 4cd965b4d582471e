"""A model that sees what comes later is refused when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from residency.errors import ModelError
from residency.model.causality import prove_causal, prove_writes
from residency.model.load_model import load_model
from tiny_archs import ARCHITECTURES, tiny

BERT = {
    "vocab_size": 89,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra"])
def test_a_masked_model_is_refused_and_a_decoder_of_its_kind_is_not(
    kind: str, tmp_path: Path
) -> None:
    config = getattr(transformers, f"{kind}Config")(**BERT)
    torch.manual_seed(0)
    getattr(transformers, f"{kind}ForMaskedLM")(config).save_pretrained(tmp_path / "masked")
    with pytest.raises(ModelError, match=r"not a causal model|disagree"):
        load_model(tmp_path / "masked")
    config.is_decoder = False
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(ModelError, match="not a causal model"):
        prove_causal(model, "here")
    config.is_decoder = True
    prove_causal(transformers.AutoModelForCausalLM.from_config(config).eval(), "here")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_causal_models_pass_in_every_number_format(name: str) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        prove_causal(tiny(name).to(dtype), name)


def test_a_hybrid_without_attention_is_refused_and_recurrent_models_are_not(tmp_path: Path) -> None:
    """Its training would run, and then no answer could be written."""
    shape = {
        "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 32, "shared_intermediate_size": 32,
        "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1,
        "mamba_chunk_size": 16, "num_local_experts": 0, "num_experts_per_tok": 0,
    }  # fmt: skip
    kinds = ["linear_attention", "linear_attention"]
    config = transformers.GraniteMoeHybridConfig(**shape, layer_types=kinds)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path / "hybrid")
    with pytest.raises(ModelError, match="no layer of the model has attention"):
        load_model(tmp_path / "hybrid", device="cpu")
    small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
    mamba = transformers.MambaConfig(**small)
    prove_writes(transformers.AutoModelForCausalLM.from_config(mamba).eval(), "here")


def test_a_model_that_writes_otherwise_than_it_learns_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cache that loses a token: training goes well, and every answer is another model's."""
    model = tiny("llama")
    prove_writes(model, "here")
    forward = model.forward

    def forget_first(*args: Any, **kwargs: Any) -> Any:
        cached = kwargs.get("past_key_values")
        if cached is not None and cached.get_seq_length() and kwargs["input_ids"].shape[1] == 1:
            kwargs["attention_mask"][:, 0] = 0
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", forget_first)
    with pytest.raises(ModelError, match="what transformers writes with it is not what it learns"):
        prove_writes(model, "here")


def test_a_model_that_is_given_other_positions_in_writing_is_refused() -> None:
    """RoBERTa's positions begin after the padding id's; ``generate`` counts them from zero."""
    config = transformers.RobertaConfig(**BERT, is_decoder=True, initializer_range=0.3)
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="what transformers writes with it is not what it learns"):
        prove_writes(transformers.AutoModelForCausalLM.from_config(config).eval(), "here")
