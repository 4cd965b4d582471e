"""Attention of one forward: flat tokens of several sequences, each after what its slot holds.

A sequence brings one token (decoding) or many (its prompt, guessed tokens). Single tokens of
all sequences go through one product; many tokens of one sequence attend to one another, to
its slot and to the shared prefix apart, merged by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from residency.infer.attention import KVCache, decode_attention, flash_attention, merge_attention


@dataclass(frozen=True)
class Chunk:
    """New tokens ``begin:end`` (flat) of the sequence in ``slot``, which holds ``held`` tokens."""

    slot: int
    held: int
    begin: int
    end: int


class ChunkAttention:
    """Writes the new keys and values into the cache, then attends. Called once a layer.

    Args:
        cache: the slots and the shared prefix. scale: of the scores.
        chunks: (slot, tokens that it holds, new tokens) of each sequence, in flat order.
    """

    def __init__(
        self, cache: KVCache, chunks: Sequence[tuple[int, int, int]], scale: float
    ) -> None:
        self.cache, self.scale = cache, scale
        device = cache.keys.device
        self.wide: list[Chunk] = []
        singles: list[Chunk] = []
        slots: list[int] = []
        places: list[int] = []
        offset = 0
        for slot, held, count in chunks:
            chunk = Chunk(slot, held, offset, offset + count)
            slots += [slot] * count
            places += range(held, held + count)
            offset += count
            if count:
                (singles if count == 1 else self.wide).append(chunk)
        self.slots = torch.tensor(slots, dtype=torch.long, device=device)
        self.places = torch.tensor(places, dtype=torch.long, device=device)
        self.only_wide = not singles
        self.wide_rows = torch.tensor(
            [row for c in self.wide for row in range(c.begin, c.end)], device=device
        )
        if not singles:
            return
        # One product over slots 0 … count - 1: slots without a single token get another's query.
        self.count = max(c.slot for c in singles) + 1
        self.longest = max(c.held for c in singles) + 1
        rows, lengths = [singles[0].begin] * self.count, [0] * self.count
        for c in singles:
            rows[c.slot], lengths[c.slot] = c.begin, c.held
        self.rows = torch.tensor(rows, device=device)
        self.single_slots = torch.tensor([c.slot for c in singles], device=device)
        self.single_rows = torch.tensor([c.begin for c in singles], device=device)
        self.plain = rows == list(range(offset))
        self.mask: Tensor | None = None
        if min(lengths) + 1 < self.longest:
            filled = torch.tensor(lengths, device=device)[:, None]
            beyond = torch.arange(self.longest, device=device)[None] > filled
            mask = torch.zeros(beyond.shape, dtype=cache.keys.dtype, device=device)
            self.mask = mask.masked_fill_(beyond, float("-inf"))[:, None, None]

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Query [T, H, D], key and value [T, K, D] → [T, H·D]."""
        self.cache.keys[layer][self.slots, :, self.places] = key
        self.cache.values[layer][self.slots, :, self.places] = value
        if not self.only_wide:
            singles = self._attend_singles(layer, query)
            if self.plain:
                return singles
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        if not self.only_wide:
            attended = singles.view(self.count, *query.shape[1:])
            out[self.single_rows] = attended[self.single_slots]
        if self.wide:
            self._attend_wide(layer, query, key, value, out)
        return out.flatten(1)

    def _attend_singles(self, layer: int, query: Tensor) -> Tensor:
        return decode_attention(
            query if self.plain else query[self.rows],
            self.cache.keys[layer, : self.count, :, : self.longest],
            self.cache.values[layer, : self.count, :, : self.longest],
            self.cache.prefix[layer] if self.cache.prefix else None,
            self.mask,
            self.scale,
        )

    def _attend_wide(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor
    ) -> None:
        lse = torch.empty(query.shape[:2], dtype=torch.float32, device=query.device)
        for c in self.wide:
            a, b = c.begin, c.end
            mixed, mixed_lse = flash_attention(
                query[a:b], key[a:b], value[a:b], self.scale, causal=True
            )
            if c.held:
                keys = self.cache.keys[layer, c.slot, :, : c.held]
                values = self.cache.values[layer, c.slot, :, : c.held]
                before, before_lse = self._attend_everything(query[a:b], keys, values)
                mixed = merge_attention(mixed, mixed_lse, before, before_lse)
                mixed_lse = torch.logaddexp(mixed_lse, before_lse)
            out[a:b], lse[a:b] = mixed, mixed_lse
        if self.cache.prefix:
            rows = slice(None) if self.only_wide else self.wide_rows
            before, before_lse = self._attend_everything(query[rows], *self.cache.prefix[layer])
            out[rows] = merge_attention(out[rows], lse[rows], before, before_lse)

    def _attend_everything(
        self, query: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Every query sees every key; keys and values are [K, S, D]."""
        return flash_attention(
            query, keys.transpose(0, 1), values.transpose(0, 1), self.scale, causal=False
        )
