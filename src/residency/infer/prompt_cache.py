"""Keys and values of earlier conversations, so that a prompt that begins like one is computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from residency.infer.attention import KVCache


@dataclass(frozen=True)
class Beginning:
    """What a model made of a sequence: ``keys`` and ``values`` are [layers, K, T, D]."""

    model: Hashable
    ids: tuple[int, ...]
    keys: Tensor
    values: Tensor

    @property
    def size(self) -> int:
        """Bytes of it."""
        return 2 * self.keys.numel() * self.keys.element_size()


def count_common(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading ids that both have, by halving (slices compare fast)."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PromptCache:
    """The beginnings used last, in a bounded number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._entries: OrderedDict[int, Beginning] = OrderedDict()
        self._next = 0

    def find_longest(self, model: Hashable, ids: tuple[int, ...]) -> tuple[Beginning | None, int]:
        """The entry that shares most leading ids, and how many."""
        best, best_key, length = None, -1, 0
        for at, entry in self._entries.items():
            if entry.model != model or entry.ids[:length] != ids[:length]:
                continue
            common = count_common(entry.ids, ids)
            if common > length:
                best, best_key, length = entry, at, common
        if best is not None:
            self._entries.move_to_end(best_key)
        return best, length

    def store_slot(
        self, model: Hashable, ids: tuple[int, ...], cache: KVCache, slot: int, least_new: int
    ) -> None:
        """Take over what a slot holds of these ids, unless almost all of it is here already."""
        token = 2 * cache.keys[:, 0, :, 0].numel() * cache.keys.element_size()
        if not ids or token * len(ids) > self.most_bytes:
            return
        _, known = self.find_longest(model, ids)
        if len(ids) - known < least_new:
            return
        for at, entry in list(self._entries.items()):
            if entry.model == model and entry.ids == ids[: len(entry.ids)]:
                self._remove(at)
        keys = cache.keys[:, slot, :, : len(ids)].clone()
        entry = Beginning(model, ids, keys, cache.values[:, slot, :, : len(ids)].clone())
        self._entries[self._next] = entry
        self._next += 1
        self.bytes += entry.size
        while self.bytes > self.most_bytes:
            self._remove(next(iter(self._entries)))

    def forget_model(self, model: Hashable) -> None:
        """Drop what was computed with this model."""
        for at in [at for at, entry in self._entries.items() if entry.model == model]:
            self._remove(at)

    def _remove(self, at: int) -> None:
        self.bytes -= self._entries.pop(at).size
