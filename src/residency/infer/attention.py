"""Attention over flat tokens and a static key/value cache, for grouped query heads.

Shapes: T tokens of this forward, n sequences, H query heads, K key/value heads, G = H / K
queries that share a key head, D head size, P length of the shared prefix, L longest part apart.

A prefix that every prompt starts with is stored once, [K, P, D]. Tokens attend to it together,
as one product, and to their sequence apart; both parts share one softmax.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class KVCache:
    """Keys and values of ``slots`` sequences, each of at most ``length`` tokens besides the prefix.

    ``keys[layer]`` has shape [slots, K, length, D]. The shared prefix lies apart, in
    ``prefix[layer]`` = (keys, values), each [K, P, D].
    """

    def __init__(
        self,
        *,
        layers: int,
        slots: int,
        heads: int,
        length: int,
        size: int,
        like: Tensor,
        prefix: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:
        shape = (layers, slots, heads, length, size)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.prefix = prefix

    def copy_slot(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` tokens of one slot over another."""
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]


def flash_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attention and its log-sum-exp; key heads are shared by stride, without a copy.

    Args:
        query: [T, H, D]. key, value: [S, K, D].

    Returns:
        Output [T, H, D] and log-sum-exp [T, H].
    """
    tokens, heads, size = query.shape
    keys = key.shape[1]
    group = heads // keys
    q = query.view(tokens, keys, group, size).permute(1, 2, 0, 3)
    k = key.transpose(0, 1)[:, None].expand(keys, group, key.shape[0], size)
    v = value.transpose(0, 1)[:, None].expand(keys, group, key.shape[0], size)
    if query.device.type == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, scale=scale
        )
    else:
        out, lse = _explicit_attention(q, k, v, scale, causal)
    return (
        out.permute(2, 0, 1, 3).reshape(tokens, heads, size),
        lse.permute(2, 0, 1).reshape(tokens, heads),
    )


def _explicit_attention(
    q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    scores = (q @ k.transpose(-1, -2)) * scale
    if causal:
        upper = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(upper, float("-inf"))
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def merge_attention(a: Tensor, a_lse: Tensor, b: Tensor, b_lse: Tensor) -> Tensor:
    """Attention over two disjoint sets of keys, from the attention over each.

    softmax over the union weighs each part by its share exp(lse) (FlashAttention's rescaling).
    """
    share = torch.sigmoid(a_lse - b_lse)[..., None]
    return a * share + b * (1 - share)


def decode_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    prefix: tuple[Tensor, Tensor] | None,
    mask: Tensor | None,
    scale: float,
) -> Tensor:
    """One new token a sequence, against its cached keys and the shared prefix.

    Args:
        query: [n, H, D]. keys, values: [n, K, L, D]. prefix: keys and values [K, P, D].
        mask: [n, 1, 1, L], 0 or −inf, or None when all sequences are L long.

    Returns:
        [n, H·D].
    """
    count, heads, size = query.shape
    kv = keys.shape[1]
    group = heads // kv
    q = (query * scale).view(count, kv, group, size)
    own_scores = q @ keys.transpose(2, 3)
    if mask is not None:
        own_scores += mask
    if prefix is None:
        return (own_scores.softmax(-1) @ values).reshape(count, heads * size)
    prefix_keys, prefix_values = prefix
    length = prefix_keys.shape[1]
    flat = q.transpose(0, 1).reshape(kv, count * group, size)
    shared = (flat @ prefix_keys.transpose(1, 2)).view(kv, count, group, length).transpose(0, 1)
    weights = torch.cat([shared, own_scores], -1).softmax(-1)
    out = weights[..., length:] @ values
    shared_weights = weights[..., :length].transpose(0, 1).reshape(kv, count * group, length)
    out += (shared_weights @ prefix_values).view(kv, count, group, size).transpose(0, 1)
    return out.reshape(count, heads * size)
