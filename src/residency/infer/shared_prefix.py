"""What several sequences begin with, computed once: its length and its keys and values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from residency.infer.attention import flash_attention
from residency.infer.fused_model import FusedModel

PrefixKV = list[tuple[Tensor, Tensor]]


def count_shared_tokens(sequences: Sequence[Sequence[int]]) -> int:
    """Number of leading ids that all the sequences share (of the first and last when sorted)."""
    if not sequences:
        return 0
    low, high = min(map(list, sequences)), max(map(list, sequences))
    count = 0
    for a, b in zip(low, high, strict=False):
        if a != b:
            break
        count += 1
    return count


def compute_prefix(
    model: FusedModel, ids: Sequence[int], before: PrefixKV | None = None, start: int = 0
) -> PrefixKV:
    """Keys and values of a shared prefix, one pair [K, P, D] a layer."""
    out: PrefixKV = []

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out.append((key.transpose(0, 1).contiguous(), value.transpose(0, 1).contiguous()))
        mixed, _ = flash_attention(query, key, value, model.scale, causal=True)
        return mixed.flatten(1)

    device = model.embedding.device
    tokens = torch.tensor(list(ids), device=device)
    nothing = torch.zeros(1, dtype=torch.long, device=device)
    model.forward(tokens, torch.arange(len(ids), device=device), attend, nothing)
    return out


def run_whole_sequence(model: FusedModel, ids: Sequence[int]) -> Tensor:
    """Hidden states of one whole sequence, [T, hidden]."""

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return flash_attention(query, key, value, model.scale, causal=True)[0].flatten(1)

    device = model.embedding.device
    tokens = torch.tensor(list(ids), device=device)
    return model.forward(tokens, torch.arange(len(ids), device=device), attend)
