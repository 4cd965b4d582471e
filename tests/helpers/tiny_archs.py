"""Tiny random models of the architectures that training is proved on, and rows for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from residency.interfaces import TokenRow

VOCABULARY = 89
_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {**_COMMON, "tie_word_embeddings": True}),
    "qwen2": (
        "Qwen2",
        {**_COMMON, "sliding_window": 6, "use_sliding_window": True, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {**_COMMON, "head_dim": 8}),
    "gpt_neox": ("GPTNeoX", {k: v for k, v in _COMMON.items() if k != "num_key_value_heads"}),
    "gpt2": (
        "GPT2",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 96,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
    ),
    "gemma": ("Gemma", {**_COMMON, "head_dim": 8}),
    "gemma2": ("Gemma2", {**_COMMON, "head_dim": 8, "sliding_window": 6}),
    "gemma3": ("Gemma3", {**_COMMON, "head_dim": 8, "sliding_window": 6}),
    "mistral": ("Mistral", {**_COMMON, "sliding_window": 6}),
}


def tiny(name: str) -> Any:
    """A random model in eval mode; weights large enough that mistakes show."""
    import transformers

    kind, settings = ARCHITECTURES[name]
    suffix = "TextConfig" if kind == "Gemma3" else "Config"
    config = getattr(transformers, kind + suffix)(**settings)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval()


def rows(count: int = 7, seed: int = 0, *, alike: int = 12) -> list[TokenRow]:
    """Rows whose first ``alike`` tokens are the same, of different lengths and weights."""
    random = np.random.default_rng(seed)
    start = [1, *random.integers(3, VOCABULARY, alike - 1).tolist()]
    out = []
    for number in range(count):
        prompt = start + random.integers(3, VOCABULARY, random.integers(1, 9)).tolist()
        answer = [*random.integers(3, VOCABULARY, random.integers(2, 12)).tolist(), 2]
        mask = (False,) * len(prompt) + (True,) * len(answer)
        out.append(TokenRow(f"ex-{number}", tuple(prompt + answer), mask, 1.0 + number % 2))
    return out


def plain_nll(model: Any, row: TokenRow) -> torch.Tensor:
    """−log p of each trained token, by the model's own forward on the row alone."""
    ids = torch.tensor([row.ids])
    logits = model(input_ids=ids).logits[0, :-1].float()
    nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
    return nll[torch.tensor(row.mask[1:])]
