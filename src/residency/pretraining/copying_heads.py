"""A fresh model that can already copy: an induction circuit set into its first weights.

Models learn late to continue "A B … A" with "B" (Olsson et al. 2022, *In-context Learning and
Induction Heads*): a head must mark each token with the one before it, and a head above must look
for the mark that equals the current token. A model of a few million parameters that sees a few
million tokens stays below that point and copies nothing. Weights that start near a useful
circuit keep and use it (Trockman & Kolter 2023, *Mimetic Initialization of Self-Attention
Layers*), so we write the two heads down and let training do the rest.

With rotary positions the score of a query at i and a key at j is a sum over frequencies f of
``cos(f · (i - j) - phase)``: fast frequencies tell neighbours apart, slow ones hardly notice the
distance. Every embedding gets a common component, on which the first head's positions work
whatever the token is; it cancels in the softmax over the vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

EMBEDDING_SCALE = 3.0
"""Embeddings start this much larger: with unit-norm states, tied logits are too flat to copy."""
COMMON = 0.5
"""Norm of the common component, relative to that of an embedding."""
FAST, SLOW = 0.04, 0.03
"""Frequencies (radians a token) above which a head tells neighbours apart, below which it does
not notice distance."""
SHARPNESS, MATCH, WRITE = 6.0, 3.0, (3.0, 10.0)
"""Score of the token before; scale of the match; how strongly each head writes, relative to an
embedding."""


def set_copying_heads(model: Any, *, seed: int) -> None:
    """Write a previous-token head (layer 1) and an induction head (layer 2) into a fresh model.

    Args:
        model: a Llama-architecture model with tied embeddings, at least two layers and an output
            projection that starts at zero; its first key/value head and first query head of both
            layers are overwritten.

    Raises:
        ValueError: fewer than two layers, or a width under four heads.
    """
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    if config.num_hidden_layers < 2 or 3 * size + 1 > width:
        raise ValueError("a copying circuit needs two layers and at least four heads")
    generator = torch.Generator().manual_seed(seed)
    frequency = _rotary_frequencies(config, size)
    with torch.no_grad():
        directions = _orthogonal_rows(width, generator)
        common = directions[0]
        told_space, kept_space, copied = (
            directions[1 + n * size : 1 + (n + 1) * size] for n in range(3)
        )
        embeddings = model.model.embed_tokens.weight
        embeddings.mul_(EMBEDDING_SCALE)
        embeddings.sub_(torch.outer(embeddings @ common, common))
        length = float(embeddings.norm(dim=1).mean())
        embeddings.add_(COMMON * length * common)
        unit = length / math.sqrt(width)  # what a normed state's projection is worth in embeddings

        first = model.model.layers[0].self_attn
        fast = (frequency > FAST).float()
        common_seen = math.sqrt(width) * COMMON / math.sqrt(1 + COMMON**2)
        each = fast * math.sqrt(SHARPNESS * math.sqrt(size) / float(fast.sum())) / common_seen
        key = torch.cat([each, torch.zeros_like(each)])
        query = torch.cat([each * frequency.cos(), -each * frequency.sin()])  # one token back
        first.k_proj.weight[:size].mul_(0.1).add_(torch.outer(key, common))
        first.q_proj.weight[:size].mul_(0.1).add_(torch.outer(query, common))
        first.v_proj.weight[:size] = told_space
        first.o_proj.weight[:, :size] = WRITE[0] * unit * kept_space.T

        second = model.model.layers[1].self_attn
        slow = (frequency < SLOW).float().repeat(2).unsqueeze(1)
        match = MATCH * size**0.25 * slow
        second.q_proj.weight[:size] = match * told_space
        second.k_proj.weight[:size] = match * kept_space
        second.v_proj.weight[:size] = copied
        second.o_proj.weight[:, :size] = WRITE[1] * unit * copied.T


def _rotary_frequencies(config: Any, size: int) -> Tensor:
    """[size / 2] radians a token of each rotary pair."""
    base = float(config.rope_parameters["rope_theta"])
    return torch.as_tensor(base ** (-torch.arange(size // 2).float() / (size // 2)))


def _orthogonal_rows(width: int, generator: torch.Generator) -> Tensor:
    """[width, width] orthonormal rows."""
    q: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    return q
