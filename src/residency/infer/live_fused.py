"""Continuous batching for a server: requests join a running batch, long prompts in pieces.

One forward holds one token of every answer that is being written, and a bounded number of tokens of
prompts that are being read, so a long prompt stops nobody. Where few answers are written, guessed
tokens join them: what followed the last words where they stood before. Runs of different models on one base
share the batch (``mixed_forward``). What a prompt has in common with an earlier conversation of the
same model, or with one in the batch, is copied and not computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from residency.infer.attention import KVCache
from residency.infer.choose_tokens import Row, list_likeliest, pick_tokens
from residency.infer.chunk_attention import ChunkAttention
from residency.infer.fused_model import FusedModel
from residency.infer.live_run import LiveRun
from residency.infer.mixed_forward import forward_mixed
from residency.infer.prompt_cache import PromptCache, count_common

PREFILL_TOKENS = 512
"""Most tokens of prompts in one forward, beside one token of every answer."""
LEAST_REUSE = 8
"""Fewer common tokens are not worth a copy."""
GUESS_ROWS = 8
"""Rows of a forward up to which guessed tokens join. Few rows take nearly as long as eight, and these twice
as long as one (``benchmarks/live_guesses.py``)."""
_LENGTH_STEP = 256
_HEAD_ROWS = 256
"""Rows of logits alive at one time."""


@dataclass(frozen=True)
class Piece:
    """Tokens ``begin`` to ``end`` of a run's sequence, computed in this forward."""

    run: LiveRun
    slot: int
    ids: list[int]
    whole: bool
    """Whether the sequence is computed up to its end after this."""
    guess: tuple[int, ...] = ()
    """Tokens at the end of ``ids`` that are only guessed."""


class LiveFused:
    """A live batch on the fused path.

    Args:
        find_model: the loaded model of a name. slots: runs answered at one time.
        cache_bytes: most memory for keys and values. prompts: earlier beginnings.
    """

    def __init__(
        self,
        find_model: Callable[[str], FusedModel],
        like: FusedModel,
        *,
        slots: int,
        cache_bytes: int,
        prompts: PromptCache,
    ) -> None:
        self.find_model = find_model
        self.like = like
        self.slots = slots
        self.prompts = prompts
        self.waiting: deque[LiveRun] = deque()
        self.active: list[LiveRun] = []
        per_token = 2 * len(like.layers) * like.kv_heads * like.head_size
        self.places = max(1, cache_bytes // (per_token * like.embedding.element_size()))
        """Tokens that the cache can hold, all slots together."""
        self.device = like.embedding.device
        self.cache = self._make_cache(1, min(_LENGTH_STEP, self.places))

    @property
    def waiting_count(self) -> int:
        """Runs that have not begun."""
        return len(self.waiting)

    @property
    def active_count(self) -> int:
        """Runs that are being answered."""
        return len(self.active)

    def clear(self) -> list[LiveRun]:
        """Forget every run, after a step that failed; those that were in hand."""
        runs = [*self.active, *self.waiting]
        self.active, self.waiting = [], deque()
        return runs

    def add(self, runs: Sequence[LiveRun]) -> None:
        """Put runs into the queue."""
        self.waiting.extend(runs)

    @torch.inference_mode()
    def step(self) -> list[LiveRun]:
        """One forward: the runs that were given a token or ended in it."""
        dropped = [run for run in self.waiting if run.cancelled]
        if dropped:
            self.waiting = deque(run for run in self.waiting if not run.cancelled)
        self._remove_ended()
        self._admit_waiting()
        if not self.active:
            return dropped
        pieces = self._plan_pieces()
        changed = self._compute_pieces(pieces)
        self._remove_ended()
        return dropped + changed

    # --- who takes part ----------------------------------------------------------------------

    def _admit_waiting(self) -> None:
        later: list[LiveRun] = []
        while self.waiting and len(self.active) < self.slots:
            run = self.waiting.popleft()
            if self._will_be_known(run):
                later.append(run)  # a run that is being read now begins alike: copy it next time
                continue
            if not self._make_room(run):
                self.waiting.appendleft(run)
                break
            self.active.append(run)
            run.started = True
            self._recall_beginning(run, len(self.active) - 1)
        self.waiting.extendleft(reversed(later))

    def _will_be_known(self, run: LiveRun) -> bool:
        """Whether another run's prompt, half read, shares more with this one than is held so far."""
        if run.wants_prompt:
            return False
        for other in self.active:
            if other.model == run.model and other.held < len(other.ids):
                common = min(count_common(other.ids, run.ids), len(run.ids) - 1)
                if common >= other.held + LEAST_REUSE and common >= 4 * LEAST_REUSE:
                    return True
        return False

    def _make_room(self, run: LiveRun) -> bool:
        """Whether the cache has, or can be given, a slot for one more run."""
        count = len(self.active) + 1
        longest = max(run.longest, max((other.longest for other in self.active), default=0))
        slots, length = self.cache.keys.shape[1], self.cache.keys.shape[3]
        if count <= slots and longest <= length:
            return True
        wanted_length = -(-longest // _LENGTH_STEP) * _LENGTH_STEP
        doubled = min(self.slots, 1 << (count - 1).bit_length())
        shapes = [(doubled, max(length, wanted_length)), (max(slots, count), wanted_length)]
        shapes += [(count, wanted_length), (count, longest)]
        for shape in shapes:
            if shape[0] >= count and shape[0] * shape[1] <= self.places:
                self._grow_cache(*shape)
                return True
        if not self.active:
            self._grow_cache(1, longest)
            return True
        return False

    def _make_cache(self, slots: int, length: int) -> KVCache:
        return KVCache(
            layers=len(self.like.layers),
            slots=slots,
            heads=self.like.kv_heads,
            length=length,
            size=self.like.head_size,
            like=self.like.embedding,
        )

    def _grow_cache(self, slots: int, length: int) -> None:
        old, self.cache = self.cache, self._make_cache(slots, length)
        for slot, run in enumerate(self.active):
            self.cache.keys[:, slot, :, : run.held] = old.keys[:, slot, :, : run.held]
            self.cache.values[:, slot, :, : run.held] = old.values[:, slot, :, : run.held]

    def _recall_beginning(self, run: LiveRun, slot: int) -> None:
        """Copy what is known of the prompt's beginning; its last token is always computed."""
        if run.wants_prompt:
            return
        most = len(run.ids) - 1
        entry, common = self.prompts.find_longest(run.model, tuple(run.ids))
        source, here = -1, 0
        for at, other in enumerate(self.active[:slot]):
            if other.model == run.model:
                known = [*other.ids, *other.tokens][: other.held]
                if (length := count_common(known, run.ids)) > here:
                    source, here = at, length
        count = min(most, max(common, here))
        if count < LEAST_REUSE:
            return
        if here >= common:
            self.cache.copy_slot(source, slot, count)
        elif entry is not None:
            self.cache.keys[:, slot, :, :count] = entry.keys[:, :, :count]
            self.cache.values[:, slot, :, :count] = entry.values[:, :, :count]
        run.held = run.reused = count

    def _remove_ended(self) -> None:
        at = 0
        while at < len(self.active):
            run = self.active[at]
            if run.finish is None and not run.cancelled:
                at += 1
                continue
            computed = tuple([*run.ids, *run.tokens][: run.held])
            self.prompts.store_slot(run.model, computed, self.cache, at, 4 * LEAST_REUSE)
            last = self.active.pop()
            if last is not run:
                self.cache.copy_slot(len(self.active), at, last.held)
                self.active[at] = last

    # --- one forward -------------------------------------------------------------------------

    def _plan_pieces(self) -> list[Piece]:
        """What each run brings: its last token, or the next part of its prompt while there is room.

        Pieces of one model lie together, in the order of slots.
        """
        room = PREFILL_TOKENS
        guesses = GUESS_ROWS // len(self.active) - 1
        pieces: list[Piece] = []
        for slot, run in enumerate(self.active):
            if run.tokens:
                guess = run.guess_tokens(guesses)
                pieces.append(Piece(run, slot, [run.tokens[-1], *guess], True, guess))
            elif room > 0:
                ids = run.ids[run.held : run.held + room]
                pieces.append(Piece(run, slot, ids, run.held + len(ids) == len(run.ids)))
                room -= len(ids)
        order = {name: at for at, name in enumerate(dict.fromkeys(p.run.model for p in pieces))}
        return sorted(pieces, key=lambda piece: order[piece.run.model])

    def _compute_pieces(self, pieces: Sequence[Piece]) -> list[LiveRun]:
        flat = [token for piece in pieces for token in piece.ids]
        chunks = [(p.slot, p.run.held, len(p.ids)) for p in pieces]
        attend = ChunkAttention(self.cache, chunks, self.like.scale)
        models: list[FusedModel] = []
        names: list[str] = []
        bounds, at = [0], 0
        select: list[int] = []
        for piece in pieces:
            if not names or names[-1] != piece.run.model:
                names.append(piece.run.model)
                models.append(self.find_model(piece.run.model))
                bounds.append(at)
            at += len(piece.ids)
            bounds[-1] = at
            if piece.run.wants_prompt and not piece.run.tokens:
                select += range(at - len(piece.ids), at)
            elif piece.whole:
                select += range(at - 1 - len(piece.guess), at)
        hidden = forward_mixed(
            models, bounds, self._index_tensor(flat), attend.places, attend,
            self._index_tensor(select),
        )  # fmt: skip
        for piece in pieces:
            piece.run.held += len(piece.ids) - len(piece.guess)
        changed: list[LiveRun] = []
        for name, model, states in zip(names, models, hidden, strict=True):
            model_pieces = [piece for piece in pieces if piece.run.model == name]
            changed += self._accept_states(model, model_pieces, states)
        return changed

    def _accept_states(
        self, model: FusedModel, pieces: Sequence[Piece], hidden: Tensor
    ) -> list[LiveRun]:
        """Picks of the runs whose sequence is computed to its end, and scores of prompts."""
        at = 0
        ends: list[int] = []
        rows: list[Row] = []
        ended = [piece for piece in pieces if piece.whole]
        for piece in pieces:
            run, count = piece.run, len(piece.guess) + 1
            if run.wants_prompt and not run.tokens:
                self._score_prompt(model, piece, hidden[at : at + len(piece.ids)])
                at += len(piece.ids)
            elif piece.whole:
                at += count
            if piece.whole:
                ends += range(at - count, at)
                rows += [Row(run, piece.guess[:number]) for number in range(count)]
        picks = self._pick_rows(model, hidden, ends, rows)
        for piece in ended:
            own_picks = [next(picks) for _ in range(len(piece.guess) + 1)]
            piece.run.held += piece.run.ending.accept_picks(piece.run, piece.guess, own_picks)
        return [piece.run for piece in ended]

    def _pick_rows(
        self, model: FusedModel, hidden: Tensor, ends: Sequence[int], rows: Sequence[Row]
    ) -> Iterator[tuple[int, float]]:
        """Token and log-probability of each row, whose state is ``hidden[ends]``."""
        for start in range(0, len(rows), _HEAD_ROWS):
            where = self._index_tensor(ends[start : start + _HEAD_ROWS])
            logits = model.compute_logits(hidden[where])
            yield from zip(*pick_tokens(logits, rows[start : start + _HEAD_ROWS]), strict=True)

    def _score_prompt(self, model: FusedModel, piece: Piece, hidden: Tensor) -> None:
        """Log-probabilities of the prompt's tokens that follow this piece's."""
        run = piece.run
        first = run.held - len(piece.ids) + 1
        following = run.ids[first : run.held + 1]
        for start in range(0, len(following), _HEAD_ROWS):
            logits = model.compute_logits(hidden[start : start + _HEAD_ROWS])
            note_prompt_scores(run, logits, following[start : start + _HEAD_ROWS])

    def _index_tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self.device)


def note_prompt_scores(run: LiveRun, logits: Tensor, following: Sequence[int]) -> None:
    """Write down the log-probabilities of ``following`` and of the likeliest tokens beside them.

    Args:
        logits: [at least len(following), vocabulary]: row i predicts ``following[i]``.
    """
    totals = logits.logsumexp(-1)
    for row, token in enumerate(following):
        run.prompt_logprobs.append(float(logits[row, token] - totals[row]))
        run.prompt_tops.append(list_likeliest(logits[row], totals[row], run.wanted_tops or 0))
