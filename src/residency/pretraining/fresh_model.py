"""A fresh model: its size, its first weights, its tokenizer beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from residency.pretraining.copying_heads import set_copying_heads


@dataclass(frozen=True)
class Shape:
    """Size of a fresh Llama-architecture model (embeddings tied)."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    max_positions: int
    copying: bool = False


def new_model(tokenizer_folder: Path, shape: Shape, out: Path, *, seed: int) -> int:
    """Random weights and the tokenizer as a Hugging Face folder; returns the parameter count.

    What writes into the residual stream starts at zero: each layer begins as the identity.
    """
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.max_positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)
    if shape.copying:
        set_copying_heads(model, seed=seed)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in model.parameters())
