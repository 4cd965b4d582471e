"""Continuous batching on the fused path: sequences join when a slot is free, leave when done.

The prefix that all prompts share is computed once. Active sequences always occupy the first
slots of the cache, so a decoding step reads a plain slice and no copies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from residency.infer.attention import KVCache, flash
from residency.infer.chunk_attention import ChunkAttention
from residency.infer.fused_model import FusedModel
from residency.infer.sequences import Ending, Run, pick
from residency.infer.trunk_states import TrunkStates

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


@dataclass(frozen=True)
class Piece:
    """Tokens that a sequence brings to one forward, after the ``own`` that its slot holds."""

    run: Run
    slot: int
    own: int
    ids: list[int]


class Batcher:
    """Generates for many prompts with a fixed number of cache slots.

    Args:
        model: the fused model. runs: prompts not yet begun, all with the same sampling.
        ending: when a sequence is over. slots: sequences decoded together.
        trunk: what the lowest layers made of earlier prompts; they must be this model's too.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: FusedModel,
        runs: Sequence[Run],
        ending: Ending,
        slots: int,
        trunk: TrunkStates | None = None,
    ) -> None:
        self.model = model
        self.ending = ending
        self.trunk = trunk
        shared = common_prefix([run.ids for run in runs]) if len(runs) > 1 else 0
        shared = min(shared, min(len(run.ids) for run in runs) - 1)
        self.shared = shared if shared >= MIN_PREFIX else 0
        # Longest first; samples of one prompt follow one another.
        self.waiting = sorted(runs, key=lambda run: (len(run.ids), run.ids))
        self.active: list[Run] = []
        self.slots = min(slots, len(runs))
        length = max(len(run.ids) + run.budget for run in runs) - self.shared
        prefix = prefill_prefix(model, runs[0].ids[: self.shared]) if self.shared else []
        self.cache = KVCache(
            layers=len(model.layers),
            slots=self.slots,
            heads=model.kv_heads,
            length=length,
            size=model.head_size,
            like=model.embedding,
            prefix=prefix,
        )
        self.device = model.embedding.device
        width = model.embedding.shape[1] if trunk is not None else 0
        self.states = model.embedding.new_zeros(self.slots, length, width)
        """With a trunk: what leaves its layers, [slots, length, hidden]."""

    @torch.inference_mode()
    def step(self) -> list[Run]:
        """Admit prompts if enough slots are free, else decode; gives those that end."""
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
            tokens += len(run.ids) - self.shared
        guesses = [run.guess() for run in taken]
        pieces: list[Piece] = []
        select: list[int] = []
        twins: list[tuple[int, int, Run]] = []
        flat = 0
        for slot, (run, guess) in enumerate(zip(taken, guesses, strict=True), len(self.active)):
            if pieces and run.ids == pieces[-1].run.ids and not any(guesses):
                select.append(select[-1])  # another sample of the same prompt: computed already
                twins.append((pieces[-1].slot, slot, run))
                continue
            self._recall(run, slot)
            pieces.append(Piece(run, slot, 0, [*run.ids[self.shared :], *guess]))
            flat += len(pieces[-1].ids)
            select += range(flat - len(guess) - 1, flat)
        hidden = self._forward(pieces, self._long(select))
        for run in taken:
            run.own = len(run.ids) - self.shared
        for source, target, run in twins:
            self._move(source, target, run)
        self._take(hidden, taken, guesses)
        self.active += taken
        return taken

    def _decode(self) -> None:
        guesses = [run.guess() for run in self.active]
        pieces = [
            Piece(run, slot, run.own, [run.tokens[-1], *guess])
            for slot, (run, guess) in enumerate(zip(self.active, guesses, strict=True))
        ]
        hidden = self._forward(pieces)
        for run in self.active:
            run.own += 1
        self._take(hidden, self.active, guesses)

    def _forward(self, pieces: Sequence[Piece], select: Tensor | None = None) -> Tensor:
        """Hidden states of the selected tokens (all when None) of these pieces laid out flat."""
        model, scale = self.model, self.model.scale
        flat = self._long([token for piece in pieces for token in piece.ids])
        attend = ChunkAttention(self.cache, [(p.slot, p.own, len(p.ids)) for p in pieces], scale)
        positions = attend.places + self.shared
        if self.trunk is None:
            return model.forward(flat, positions, attend, select)
        depth = self.trunk.depth
        known = [self._known(piece) for piece in pieces]
        starts = accumulate((len(p.ids) for p in pieces), initial=0)
        spans = zip(pieces, known, starts, strict=False)  # the last start is the end of all
        fresh = self._long([at for p, n, a in spans for at in range(a + n, a + len(p.ids))])
        if len(fresh):
            new = [(p.slot, p.own + n, len(p.ids) - n) for p, n in zip(pieces, known, strict=True)]
            below = ChunkAttention(self.cache, new, scale)
            x = model.run(model.embedding[flat[fresh]], positions[fresh], below, range(depth))
            self.states[below.slots, below.places] = x
        x = self.states[attend.slots, attend.places]
        everything = torch.arange(len(flat), device=self.device) if select is None else select
        return model.above(x, positions, attend, depth, everything)

    # --- states of the frozen layers ---------------------------------------------------------

    def _recall(self, run: Run, slot: int) -> None:
        """Put what is kept of this prompt and of an answer to it into the slot."""
        if self.trunk is None or (kept := self.trunk.find(run.ids, self.shared)) is None:
            return
        skip = self.shared - kept.start
        count = min(len(kept.states) - skip, self.states.shape[1])
        depth = self.trunk.depth
        self.states[slot, :count] = kept.states[skip : skip + count]
        self.cache.keys[:depth, slot, :, :count] = kept.keys[:, :, skip : skip + count]
        self.cache.values[:depth, slot, :, :count] = kept.values[:, :, skip : skip + count]
        run.recalled = kept.ids[self.shared : self.shared + count]

    def _known(self, piece: Piece) -> int:
        """How many of a piece's tokens have their states in the slot; off that path none has."""
        path = piece.run.recalled[piece.own : piece.own + len(piece.ids)]
        same = 0
        for a, b in zip(path, piece.ids, strict=False):
            if a != b:
                break
            same += 1
        if same < len(piece.ids):
            piece.run.recalled = ()  # what follows is written over
        return same

    # --- what was picked ---------------------------------------------------------------------

    def _take(self, hidden: Tensor, runs: Sequence[Run], guesses: Sequence[Sequence[int]]) -> None:
        """Picks for every row; each run keeps its own up to the first that is no guess of its."""
        rows = [
            (run, len(run.tokens) + at)
            for run, guess in zip(runs, guesses, strict=True)
            for at in range(len(guess) + 1)
        ]
        picked = self._pick(hidden, rows)
        for run, guess in zip(runs, guesses, strict=True):
            mine = [next(picked) for _ in range(len(guess) + 1)]
            right = 0
            while not self.ending.accept(run, *mine[right]):
                if right == len(guess) or mine[right][0] != guess[right]:
                    break
                right += 1
            run.own += right
            run.draft.follow(run.tokens, len(guess), right)

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
            if self.trunk is not None:
                computed = [*run.ids, *run.tokens][: self.shared + run.own]
                states, start = self.states[at], self.shared
                self.trunk.keep(len(run.ids), computed, start, at, self.cache, states)
            last = self.active.pop()
            if last is not run:
                self._move(len(self.active), at, last)
                self.active[at] = last
            ended.append(run)
        return ended

    def _move(self, source: int, target: int, run: Run) -> None:
        count = max(run.own, len(run.recalled))
        self.cache.move(source, target, count)
        self.states[target, :count] = self.states[source, :count]

    def _long(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self.device)
