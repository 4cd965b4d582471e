"""Continuous batching on the fused path: sequences join when a slot is free, leave when done.

The prefix that all prompts share is computed once. Active sequences always occupy the first
slots of the cache, so a decoding step reads a plain slice and no copies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from residency.infer.attention import KVCache, decode_attention, flash, merge
from residency.infer.fused import FusedModel
from residency.infer.sequences import Ending, Run, pick

MIN_PREFIX = 8
"""Shorter common prefixes are not worth a second attention product."""
_PREFILL_TOKENS = 4096
"""Most tokens of new prompts in one forward."""
_HEAD_ROWS = 256
"""Rows of logits alive at one time."""

PrefixKV = list[tuple[Tensor, Tensor]]


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
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


def prefill_prefix(
    model: FusedModel, ids: Sequence[int], before: PrefixKV | None = None, start: int = 0
) -> PrefixKV:
    """Keys and values of a shared prefix, one pair [K, P, D] a layer."""
    out: PrefixKV = []

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out.append((key.transpose(0, 1).contiguous(), value.transpose(0, 1).contiguous()))
        mixed, _ = flash(query, key, value, model.scale, causal=True)
        return mixed.flatten(1)

    device = model.embedding.device
    tokens = torch.tensor(list(ids), device=device)
    nothing = torch.zeros(1, dtype=torch.long, device=device)
    model.forward(tokens, torch.arange(len(ids), device=device), attend, nothing)
    return out


def plain_forward(model: FusedModel, ids: Sequence[int]) -> Tensor:
    """Hidden states of one whole sequence, [T, hidden]."""

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return flash(query, key, value, model.scale, causal=True)[0].flatten(1)

    device = model.embedding.device
    tokens = torch.tensor(list(ids), device=device)
    return model.forward(tokens, torch.arange(len(ids), device=device), attend)


class Batcher:
    """Generates for many prompts with a fixed number of cache slots.

    Args:
        model: the fused model. runs: prompts not yet begun, all with the same sampling.
        ending: when a sequence is over. slots: sequences decoded together.
    """

    @torch.inference_mode()
    def __init__(self, model: FusedModel, runs: Sequence[Run], ending: Ending, slots: int) -> None:
        self.model = model
        self.ending = ending
        shared = common_prefix([run.ids for run in runs]) if len(runs) > 1 else 0
        shared = min(shared, min(len(run.ids) for run in runs) - 1)
        self.shared = shared if shared >= MIN_PREFIX else 0
        # Longest first; samples of one prompt follow one another.
        self.waiting = sorted(runs, key=lambda run: (len(run.ids) + len(run.draft), run.ids))
        self.active: list[Run] = []
        self.slots = min(slots, len(runs))
        prefix = prefill_prefix(model, runs[0].ids[: self.shared]) if self.shared else []
        self.cache = KVCache(
            layers=len(model.layers),
            slots=self.slots,
            heads=model.kv_heads,
            length=max(len(run.ids) + run.budget for run in runs) - self.shared,
            size=model.head_size,
            like=model.embedding,
            prefix=prefix,
        )
        self.device = model.embedding.device

    @torch.inference_mode()
    def step(self) -> list[Run]:
        """Admit prompts if enough slots are free, else decode one token each; those that end."""
        free = self.slots - len(self.active)
        began = time.perf_counter()
        if self.waiting and (free >= max(1, self.slots // 8) or not self.active):
            taken = self._admit(free)
            share = (time.perf_counter() - began) / sum(len(run.ids) for run in taken)
            for run in taken:
                run.seconds += share * len(run.ids)
        else:
            self._decode()
            share = (time.perf_counter() - began) / len(self.active)
            for run in self.active:
                run.seconds += share
        return self._leave()

    def _admit(self, free: int) -> list[Run]:
        taken: list[Run] = []
        tokens = 0
        while self.waiting and len(taken) < free and tokens < _PREFILL_TOKENS:
            run = self.waiting.pop()
            taken.append(run)
            tokens += len(run.ids) - self.shared + max(0, len(run.draft) - 1)
        flat: list[int] = []
        positions: list[int] = []
        select: list[int] = []
        bounds: list[tuple[int, int, int]] = []
        twins: list[tuple[int, int]] = []
        for offset, run in enumerate(taken):
            before = taken[offset - 1] if offset else None
            if before is not None and run.ids == before.ids and not (run.draft or before.draft):
                select.append(select[-1])  # another sample of the same prompt: computed already
                twins.append((bounds[-1][0], len(self.active) + offset))
                continue
            start = len(flat)
            flat += run.ids[self.shared :]
            prompt_end = len(flat)
            flat += run.draft[:-1]
            select += range(prompt_end - 1, len(flat))
            positions += range(self.shared, self.shared + len(flat) - start)
            bounds.append((len(self.active) + offset, start, len(flat)))
        attend = self._prefill_attention(bounds)
        hidden = self.model.forward(
            self._long(flat), self._long(positions), attend, self._long(select)
        )
        for source, target in twins:
            self.cache.move(source, target, len(taken[target - len(self.active)].ids) - self.shared)
        rows = [(run, step) for run in taken for step in range(max(1, len(run.draft)))]
        picked = self._pick(hidden, rows)
        for run in taken:
            run.own = len(run.ids) - self.shared
            self._verify(run, [next(picked) for _ in range(max(1, len(run.draft)))])
        self.active += taken
        return taken

    def _verify(self, run: Run, picked: list[tuple[int, float]]) -> None:
        """Accept picks until one differs from the draft; that one is still the right token."""
        for at, (token, logprob) in enumerate(picked):
            if self.ending.accept(run, token, logprob):
                return
            if at >= len(run.draft) or token != run.draft[at]:
                return
            run.own += at + 1 < len(picked)

    def _prefill_attention(
        self, bounds: list[tuple[int, int, int]]
    ) -> Callable[[int, Tensor, Tensor, Tensor], Tensor]:
        cache, scale = self.cache, self.model.scale

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
            lse = torch.empty(query.shape[:2], dtype=torch.float32, device=query.device)
            for slot, a, b in bounds:
                cache.keys[layer, slot, :, : b - a] = key[a:b].transpose(0, 1)
                cache.values[layer, slot, :, : b - a] = value[a:b].transpose(0, 1)
                out[a:b], lse[a:b] = flash(query[a:b], key[a:b], value[a:b], scale, causal=True)
            if cache.prefix:
                keys, values = cache.prefix[layer]
                before, before_lse = flash(
                    query, keys.transpose(0, 1), values.transpose(0, 1), scale, causal=False
                )
                out = merge(out, lse, before, before_lse)
            return out.flatten(1)

        return attend

    def _decode(self) -> None:
        cache, scale, count = self.cache, self.model.scale, len(self.active)
        lengths = [run.own for run in self.active]
        longest = max(lengths) + 1
        own = self._long(lengths)
        rows = torch.arange(count, device=self.device)
        mask = None
        if min(lengths) + 1 < longest:
            beyond = torch.arange(longest, device=self.device)[None] > own[:, None]
            mask = torch.zeros(beyond.shape, dtype=cache.keys.dtype, device=self.device)
            mask = mask.masked_fill_(beyond, float("-inf"))[:, None, None]

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = cache.keys[layer], cache.values[layer]
            keys[rows, :, own] = key
            values[rows, :, own] = value
            prefix = cache.prefix[layer] if cache.prefix else None
            return decode_attention(
                query, keys[:count, :, :longest], values[:count, :, :longest], prefix, mask, scale
            )

        last = self._long([run.tokens[-1] for run in self.active])
        hidden = self.model.forward(last, own + self.shared, attend)
        picked = self._pick(hidden, [(run, len(run.tokens)) for run in self.active])
        for run, (token, logprob) in zip(self.active, picked, strict=True):
            run.own += 1
            self.ending.accept(run, token, logprob)

    def _pick(self, hidden: Tensor, rows: Sequence[tuple[Run, int]]) -> Iterator[tuple[int, float]]:
        for at in range(0, len(rows), _HEAD_ROWS):
            logits = self.model.logits(hidden[at : at + _HEAD_ROWS])
            tokens, logprobs = pick(logits, rows[at : at + _HEAD_ROWS])
            yield from zip(tokens, logprobs, strict=True)

    def _leave(self) -> list[Run]:
        ended: list[Run] = []
        at = 0
        while at < len(self.active):
            run = self.active[at]
            if run.finish is None:
                at += 1
                continue
            last = self.active.pop()
            if last is not run:
                self.cache.move(len(self.active), at, last.own)
                self.active[at] = last
            ended.append(run)
        return ended

    def _long(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self.device)
