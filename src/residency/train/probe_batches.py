"""Which batches of a training an estimate tries, and how large they all are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.model.size_rounding import round_up_size
from residency.train.batch_source import EpochBatches, as_objective
from residency.train.flat_batch import flatten_rows, split_by_tokens
from residency.train.trunk_cache import GROUP_TOKENS

_COUNTED = 400
"""Batches that are counted; of a longer run so many, evenly spread, stand for all."""

Sizes = list[tuple[int, int]]
"""(flat tokens, trained tokens) of each micro-batch of a step."""


# --- which batches ---------------------------------------------------------------------------


class FewBatches(EpochBatches):
    """Some steps of another source, with as many rows as the frozen layers are computed for at once."""

    def __init__(self, source: EpochBatches, order: Iterable[int]) -> None:
        self._batches = [source.batch(step) for step in order]
        chosen = {id(row): row for batch in self._batches for row in batch}
        tokens = sum(len(row.ids) for row in chosen.values())
        for row in source.rows:
            if tokens >= GROUP_TOKENS:
                break
            if id(row) not in chosen:
                chosen[id(row)] = row
                tokens += len(row.ids)
        self.rows, self.steps = list(chosen.values()), len(self._batches)
        self.fingerprint = "few"

    def batch(self, step: int) -> list[TokenRow]:
        """Rows of a step (0-based)."""
        return self._batches[step]


def batch_sizes(source: EpochBatches, settings: TrainConfig) -> dict[int, Sizes]:
    """Sizes of the steps that are counted."""
    out = {}
    for step in range(0, source.steps, -(-source.steps // _COUNTED)):
        rows = as_objective(source.batch(step), settings.objective)
        parts = [
            flatten_rows(_with_rejected(micro_batch))
            for micro_batch in split_by_tokens(rows, settings.micro_tokens)
        ]
        out[step] = [(len(micro_batch.ids), len(micro_batch.labels)) for micro_batch in parts]
    return out


def _with_rejected(rows: Iterable[TokenRow]) -> list[TokenRow]:
    """Rows and, with DPO, their rejected sides as separate rows."""
    out = []
    for row in rows:
        out.append(TokenRow(row.example, row.ids, row.mask))
        if row.rejected_ids:
            out.append(TokenRow(row.example, row.rejected_ids, row.rejected_mask))
    return out


def choose_steps(sizes: Mapping[int, Sizes]) -> list[int]:
    """Steps to try: the one with the largest micro-batch first, the smallest, and two between."""
    order = sorted(sizes, key=lambda step: (max(sizes[step]), step))
    places = (len(order) - 1, 0, len(order) // 3, 2 * len(order) // 3)
    return list(dict.fromkeys(order[rank] for rank in places))


def count_tokens(rows: Sequence[TokenRow]) -> int:
    return sum(len(row.ids) + len(row.rejected_ids) for row in rows)


def batch_shape(sizes: Sizes) -> frozenset[tuple[int, int]]:
    """Micro-batches as large as kernels see them."""
    return frozenset((round_up_size(tokens), round_up_size(trained)) for tokens, trained in sizes)
