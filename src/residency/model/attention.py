"""Attention over a flat token stream: each example sees itself only, nothing is padded.

Registered with transformers' attention interface, so that any architecture which uses it
runs on flat tokens unchanged. Examples of a batch that begin alike share the tokens of
their common beginning: those are computed once, and only here, in attention, are they
laid out again for each example. It is exact, because in a causal model what a token
becomes depends on the tokens before it alone.

Shapes: T flat tokens, E expanded tokens (E ≥ T), H query heads, K key-value heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

NAME = "residency_flat"


@dataclass(frozen=True)
class Layout:
    """How examples lie in the flat stream.

    Attributes:
        lengths: tokens of each example, shared beginnings included; they sum to E.
        shared: how many of each example's first tokens lie with an earlier example; the rest
            follow one another in the flat stream. Empty when nothing is shared.
        expand: [E] flat index of each example's tokens in turn; None when nothing is shared.
        keep: [T] position among the E of each flat token; None when nothing is shared.
    """

    lengths: tuple[int, ...]
    shared: tuple[int, ...] = ()
    expand: Tensor | None = None
    keep: Tensor | None = None

    @property
    def own_lengths(self) -> list[int]:
        """Tokens of each example that are its own; they sum to T."""
        shared = self.shared or (0,) * len(self.lengths)
        return [n - common for n, common in zip(self.lengths, shared, strict=True)]


@lru_cache(maxsize=256)
def _visibility_mask(own_counts: int, length: int, window: int) -> Tensor:
    """[own, length] True where the last ``own`` tokens of an example see a token of it.

    That is none after the query, and none more than ``window - 1`` before it.
    """
    gap = torch.arange(length - own_counts, length)[:, None] - torch.arange(length)[None, :]
    return (gap >= 0) & (gap < window)


def _with_softcap(
    q: Tensor, k: Tensor, v: Tensor, scale: float, cap: float, mask: Tensor
) -> Tensor:
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = torch.tanh(q @ k.transpose(-1, -2) * scale / cap) * cap
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32)
    return weights.to(v.dtype) @ v


def flat_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: Layout,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Causal attention inside each example. q: [T, H, D], k and v: [T, K, D] → [T, H, D]."""
    own_counts = layout.own_lengths
    if layout.expand is not None:
        k, v = k.index_select(0, layout.expand), v.index_select(0, layout.expand)
    lengths = list(layout.lengths)
    outs = []
    parts = (torch.split(q, own_counts), torch.split(k, lengths), torch.split(v, lengths))
    for part_q, part_k, part_v in zip(*parts, strict=True):
        queries, n = part_q.shape[0], part_k.shape[0]
        if not queries:  # all of it is an earlier example's beginning
            continue
        head_q, head_k, head_v = (t.transpose(0, 1)[None] for t in (part_q, part_k, part_v))
        reach = n if window is None else min(window, n)
        plain = queries == n == reach
        mask = (
            None if plain and softcap is None else _visibility_mask(queries, n, reach).to(q.device)
        )
        if softcap is not None and mask is not None:
            out = _with_softcap(head_q, head_k, head_v, scale, softcap, mask)
        else:
            out = scaled_dot_product_attention(
                head_q,
                head_k,
                head_v,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=plain,
                scale=scale,
                enable_gqa=part_q.shape[1] != part_k.shape[1],
            )
        outs.append(out[0].transpose(0, 1))
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def _attend_flat(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface. query: [1, H, T, D] → [1, T, H, D]."""
    for unknown in ("s_aux", "position_bias"):
        if kwargs.get(unknown) is not None:
            raise NotImplementedError(f"flat attention does not know {unknown}")
    if layout is None:
        if query.shape[0] != 1:
            raise NotImplementedError("flat attention needs a layout")
        layout = Layout((query.shape[2],))  # a single example
    out = flat_attention(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        layout,
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=sliding_window,
        softcap=softcap,
        dropout=dropout,
    )
    return out[None], None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """The layout says who sees whom; transformers need not build a mask."""


def register_flat_attention() -> None:
    """Make the name ``residency_flat`` known to transformers. Safe to call again."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend_flat)
    AttentionMaskInterface.register(NAME, _no_mask)
