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

from residency.infer.attention import KVCache
from residency.infer.choose_tokens import Row, pick_tokens
from residency.infer.chunk_attention import ChunkAttention
from residency.infer.fused_model import FusedModel
from residency.infer.sequences import Ending, Run
from residency.infer.shared_prefix import compute_prefix, count_shared_tokens
from residency.infer.trunk_states import TrunkStates

MIN_PREFIX = 8
"""Shorter common prefixes are not worth a second attention product."""
_PREFILL_TOKENS = 4096
"""Most tokens of new prompts in one forward."""
_HEAD_ROWS = 256
"""Rows of logits alive at one time."""


@dataclass(frozen=True)
class Piece:
    """Tokens that a sequence brings to one forward, after the ``held`` ones in its slot."""

    run: Run
    slot: int
    held: int
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
        shared = count_shared_tokens([run.ids for run in runs]) if len(runs) > 1 else 0
        shared = min(shared, min(len(run.ids) for run in runs) - 1)
        self.shared = shared if shared >= MIN_PREFIX else 0
        # Longest first; samples of one prompt follow one another.
        self.waiting = sorted(runs, key=lambda run: (len(run.ids), run.ids))
        self.active: list[Run] = []
        self.slots = min(slots, len(runs))
        length = max(len(run.ids) + run.budget for run in runs) - self.shared
        prefix = compute_prefix(model, runs[0].ids[: self.shared]) if self.shared else []
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
            admitted = self._admit_waiting(free)
            share = (time.perf_counter() - began) / sum(len(run.ids) for run in admitted)
            for run in admitted:
                run.seconds += share * len(run.ids)
        else:
            self._decode_step()
            share = (time.perf_counter() - began) / len(self.active)
            for run in self.active:
                run.seconds += share
        return self._remove_ended()

    def _admit_waiting(self, free: int) -> list[Run]:
        admitted: list[Run] = []
        tokens = 0
        while self.waiting and len(admitted) < free and tokens < _PREFILL_TOKENS:
            run = self.waiting.pop()
            admitted.append(run)
            tokens += len(run.ids) - self.shared
        guesses = [run.guess_tokens() for run in admitted]
        pieces: list[Piece] = []
        select: list[int] = []
        twins: list[tuple[int, int, Run]] = []
        flat = 0
        for slot, (run, guess) in enumerate(zip(admitted, guesses, strict=True), len(self.active)):
            if pieces and run.ids == pieces[-1].run.ids and not any(guesses):
                select.append(select[-1])  # another sample of the same prompt: computed already
                twins.append((pieces[-1].slot, slot, run))
                continue
            self._recall_states(run, slot)
            pieces.append(Piece(run, slot, 0, [*run.ids[self.shared :], *guess]))
            flat += len(pieces[-1].ids)
            select += range(flat - len(guess) - 1, flat)
        hidden = self._forward_pieces(pieces, self._index_tensor(select))
        for run in admitted:
            run.held = len(run.ids) - self.shared
        for source, target, run in twins:
            self._move_run(source, target, run)
        self._accept_picks(hidden, admitted, guesses)
        self.active += admitted
        return admitted

    def _decode_step(self) -> None:
        guesses = [run.guess_tokens() for run in self.active]
        pieces = [
            Piece(run, slot, run.held, [run.tokens[-1], *guess])
            for slot, (run, guess) in enumerate(zip(self.active, guesses, strict=True))
        ]
        hidden = self._forward_pieces(pieces)
        for run in self.active:
            run.held += 1
        self._accept_picks(hidden, self.active, guesses)

    def _forward_pieces(self, pieces: Sequence[Piece], select: Tensor | None = None) -> Tensor:
        """Hidden states of the selected tokens (all when None) of these pieces laid out flat."""
        model, scale = self.model, self.model.scale
        flat = self._index_tensor([token for piece in pieces for token in piece.ids])
        attend = ChunkAttention(self.cache, [(p.slot, p.held, len(p.ids)) for p in pieces], scale)
        positions = attend.places + self.shared
        if self.trunk is None:
            return model.forward(flat, positions, attend, select)
        depth = self.trunk.depth
        recalled_counts = [self._count_recalled(piece) for piece in pieces]
        starts = accumulate((len(p.ids) for p in pieces), initial=0)
        spans = zip(
            pieces, recalled_counts, starts, strict=False
        )  # the last start is the end of all
        fresh = self._index_tensor([at for p, n, a in spans for at in range(a + n, a + len(p.ids))])
        if len(fresh):
            new = [
                (p.slot, p.held + n, len(p.ids) - n)
                for p, n in zip(pieces, recalled_counts, strict=True)
            ]
            below = ChunkAttention(self.cache, new, scale)
            x = model.run_layers(
                model.embedding[flat[fresh]], positions[fresh], below, range(depth)
            )
            self.states[below.slots, below.places] = x
        x = self.states[attend.slots, attend.places]
        everything = torch.arange(len(flat), device=self.device) if select is None else select
        return model.forward_above(x, positions, attend, depth, everything)

    # --- states of the frozen layers ---------------------------------------------------------

    def _recall_states(self, run: Run, slot: int) -> None:
        """Put what is stored of this prompt and of an answer to it into the slot."""
        if self.trunk is None or (entry := self.trunk.find_entry(run.ids, self.shared)) is None:
            return
        skip = self.shared - entry.start
        count = min(len(entry.states) - skip, self.states.shape[1])
        depth = self.trunk.depth
        self.states[slot, :count] = entry.states[skip : skip + count]
        self.cache.keys[:depth, slot, :, :count] = entry.keys[:, :, skip : skip + count]
        self.cache.values[:depth, slot, :, :count] = entry.values[:, :, skip : skip + count]
        run.recalled = entry.ids[self.shared : self.shared + count]

    def _count_recalled(self, piece: Piece) -> int:
        """How many of a piece's tokens have their states in the slot; off that path none has."""
        path = piece.run.recalled[piece.held : piece.held + len(piece.ids)]
        same = 0
        for a, b in zip(path, piece.ids, strict=False):
            if a != b:
                break
            same += 1
        if same < len(piece.ids):
            piece.run.recalled = ()  # what follows is written over
        return same

    # --- what was picked ---------------------------------------------------------------------

    def _accept_picks(
        self, hidden: Tensor, runs: Sequence[Run], guesses: Sequence[Sequence[int]]
    ) -> None:
        """Picks for every row; each run keeps its picks up to the first that is no guess of its."""
        rows = [
            Row(run, tuple(guess[:at]))
            for run, guess in zip(runs, guesses, strict=True)
            for at in range(len(guess) + 1)
        ]
        picked = self._pick_rows(hidden, rows)
        for run, guess in zip(runs, guesses, strict=True):
            own_picks = [next(picked) for _ in range(len(guess) + 1)]
            run.held += self.ending.accept_picks(run, guess, own_picks)

    def _pick_rows(self, hidden: Tensor, rows: Sequence[Row]) -> Iterator[tuple[int, float]]:
        for at in range(0, len(rows), _HEAD_ROWS):
            logits = self.model.compute_logits(hidden[at : at + _HEAD_ROWS])
            tokens, logprobs = pick_tokens(logits, rows[at : at + _HEAD_ROWS])
            yield from zip(tokens, logprobs, strict=True)

    def _remove_ended(self) -> list[Run]:
        ended: list[Run] = []
        at = 0
        while at < len(self.active):
            run = self.active[at]
            if run.finish is None:
                at += 1
                continue
            if self.trunk is not None:
                computed = [*run.ids, *run.tokens][: self.shared + run.held]
                states, start = self.states[at], self.shared
                self.trunk.keep_sequence(len(run.ids), computed, start, at, self.cache, states)
            last = self.active.pop()
            if last is not run:
                self._move_run(len(self.active), at, last)
                self.active[at] = last
            ended.append(run)
        return ended

    def _move_run(self, source: int, target: int, run: Run) -> None:
        count = max(run.held, len(run.recalled))
        self.cache.copy_slot(source, target, count)
        self.states[target, :count] = self.states[source, :count]

    def _index_tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self.device)
