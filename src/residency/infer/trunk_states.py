"""What frozen lower layers make of prompts and answers, held from one model to the next.

Adapters on the top layers (``train.layers = "top-N"``) leave everything below them as the base
computes it: the keys and values of those layers, and the states that leave them, depend on the
token ids alone. Base, rounds and control arm answer the same prompts, and an earlier answer is
the draft of the next one; so these are computed once.

Entries live in the engine, next to the base that made them, and their key is the prompt's ids:
another base, template, tokenizer or prompt cannot find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from residency.infer.attention import KVCache


@dataclass(frozen=True)
class KeptStates:
    """States of one prompt and the answer after it.

    Attributes:
        ids: the prompt's and the answer's token ids. start: the first whose states are here
            (what stands before is a prefix that prompts share).
        states: [T, hidden], leaving the frozen layers. keys, values: [layers, K, T, D].
    """

    ids: tuple[int, ...]
    start: int
    states: Tensor
    keys: Tensor
    values: Tensor

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(t.nbytes for t in (self.states, self.keys, self.values))


class TrunkStates:
    """Kept states by prompt. What does not fit any more is dropped.

    Args:
        depth: number of frozen layers. most: bytes of all entries.
    """

    def __init__(self, depth: int, most: int) -> None:
        self.depth = depth
        self.most = most
        self.size = 0
        self._entries: dict[tuple[int, ...], KeptStates] = {}

    def find_entry(self, prompt: Sequence[int], shared: int) -> KeptStates | None:
        """The entry of a prompt whose first ``shared`` tokens come from a prefix."""
        entry = self._entries.get(tuple(prompt))
        return entry if entry is not None and entry.start <= shared else None

    def keep_sequence(
        self, prompt: int, ids: Sequence[int], start: int, slot: int, cache: KVCache, states: Tensor
    ) -> None:
        """Keep a finished sequence: its slot of the cache and its states [length, hidden].

        Args:
            prompt: number of leading ids that are the prompt. ids: all that were computed.
        """
        computed = tuple(ids)
        key, count = computed[:prompt], len(computed) - start
        old = self._entries.get(key)
        if old is not None and (old.ids == computed or old.start < start):
            return
        token = states[0].nbytes + 2 * self.depth * cache.keys[0, 0, :, 0].nbytes
        freed = old.size if old is not None else 0
        if self.size - freed + token * count > self.most:
            return
        entry = KeptStates(
            computed,
            start,
            states[:count].clone(),
            cache.keys[: self.depth, slot, :, :count].clone(),
            cache.values[: self.depth, slot, :, :count].clone(),
        )
        self.size += entry.size - freed
        self._entries[key] = entry
