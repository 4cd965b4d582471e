"""Rows to flat batches: no padding, positions restarted, common beginnings stored once.

Shapes: T flat tokens, E expanded tokens, S trained positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from residency.interfaces import TokenRow
from residency.model.attention import Layout

SHARE_FROM = 8
"""Fewest common tokens at the beginning of two examples that are worth sharing."""


@dataclass(frozen=True)
class FlatBatch:
    """Examples as one token stream, and what is predicted where.

    Attributes:
        ids, positions: [T] token ids and their positions within their example.
        layout: which flat tokens make up each example.
        predict: [S] flat index of the state that predicts a trained token.
        labels: [S] the trained token. weights: [S] its weight in the loss.
        owner: [S] number of the row (0-based) that it belongs to.
        shared: for each row, how many of its first tokens are an earlier row's.
        tokens: E, what a trainer without sharing would process.
    """

    ids: Tensor
    positions: Tensor
    layout: Layout
    predict: Tensor
    labels: Tensor
    weights: Tensor
    owner: Tensor
    shared: tuple[int, ...]
    tokens: int

    def to(self, device: torch.device) -> FlatBatch:
        """The same batch on a device."""
        layout = self.layout
        if layout.expand is not None and layout.keep is not None:
            layout = Layout(
                layout.lengths, layout.shared, layout.expand.to(device), layout.keep.to(device)
            )
        return FlatBatch(
            self.ids.to(device),
            self.positions.to(device),
            layout,
            self.predict.to(device),
            self.labels.to(device),
            self.weights.to(device),
            self.owner.to(device),
            self.shared,
            self.tokens,
        )


def _common_tokens(a: np.ndarray, b: np.ndarray) -> int:
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n


def flatten_rows(rows: Sequence[TokenRow], *, share: bool = True) -> FlatBatch:
    """One flat batch of rows.

    A token is trained when its mask is True and a token stands before it. With ``share``,
    a row that begins like an earlier one reuses that one's tokens (see model.attention).
    """
    arrays = [np.asarray(row.ids, np.int64) for row in rows]
    ids: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    where: list[np.ndarray] = []  # flat index of every token of every row
    keep: list[np.ndarray] = []
    shared: list[int] = []
    flat = expanded = 0
    for at, array in enumerate(arrays):
        common, source = 0, 0
        if share:
            for earlier in range(at):
                length = _common_tokens(arrays[earlier], array)
                if length > common:
                    common, source = length, earlier
        if common < SHARE_FROM:
            common = 0
        own_count = len(array) - common
        index = np.arange(flat, flat + own_count)
        where.append(np.concatenate([where[source][:common], index]) if common else index)
        ids.append(array[common:])
        positions.append(np.arange(common, len(array)))
        keep.append(np.arange(expanded + common, expanded + len(array)))
        shared.append(common)
        flat += own_count
        expanded += len(array)
    predict, labels, weights, owner = [], [], [], []
    for at, row in enumerate(rows):
        trained = np.flatnonzero(np.asarray(row.mask[1:], bool))
        predict.append(where[at][trained])
        labels.append(arrays[at][trained + 1])
        weights.append(np.full(len(trained), row.weight, np.float32))
        owner.append(np.full(len(trained), at))
    lengths = tuple(len(array) for array in arrays)
    layout = Layout(lengths)
    if any(shared):
        layout = Layout(lengths, tuple(shared), _join_arrays(where), _join_arrays(keep))
    return FlatBatch(
        ids=_join_arrays(ids),
        positions=_join_arrays(positions),
        layout=layout,
        predict=_join_arrays(predict),
        labels=_join_arrays(labels),
        weights=_join_arrays(weights),
        owner=_join_arrays(owner),
        shared=tuple(shared),
        tokens=expanded,
    )


def _join_arrays(parts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts))


def split_by_tokens(
    rows: Sequence[TokenRow], limit: int, length_class: Callable[[int], int] = lambda length: 0
) -> Iterator[list[TokenRow]]:
    """Micro-batches of at most ``limit`` tokens (or one row), in order, each of one length class."""
    classes: dict[int, list[TokenRow]] = {}
    for row in rows:
        classes.setdefault(length_class(len(row.ids)), []).append(row)
    for alike in classes.values():
        batch: list[TokenRow] = []
        size = 0
        for row in alike:
            if batch and size + len(row.ids) > limit:
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += len(row.ids)
        if batch:
            yield batch


def trained_tokens(row: TokenRow) -> int:
    """How many of the row's tokens are trained (the first never is: nothing stands before it)."""
    return sum(row.mask[1:])
