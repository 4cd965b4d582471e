"""Which rows a step trains on: a source of batches, the same on every call."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from residency.interfaces import TokenRow


class Batches(Protocol):
    """A source of training rows: the rows of step i, the same on every call.

    Attributes:
        steps: optimizer steps. fingerprint: changes when any batch would.
    """

    steps: int
    fingerprint: str

    def batch(self, step: int) -> Sequence[TokenRow]:
        """Rows of a step (0-based)."""
        ...


class EpochBatches:
    """Rows shuffled anew each epoch (seeded), cut into batches; the last of an epoch may be short."""

    def __init__(self, rows: Sequence[TokenRow], batch_size: int, epochs: float, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.per_epoch = math.ceil(len(rows) / batch_size)
        self.steps = max(1, math.ceil(epochs * self.per_epoch - 1e-9))
        self.fingerprint = rows_hash(rows)
        self._order: tuple[int, list[int]] = (-1, [])

    def batch(self, step: int) -> list[TokenRow]:
        """Rows of a step (0-based)."""
        epoch, at = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            self._order = (epoch, generator.permutation(len(self.rows)).tolist())
        chosen = self._order[1][at * self.batch_size : (at + 1) * self.batch_size]
        return [self.rows[index] for index in chosen]


def rows_hash(rows: Sequence[TokenRow]) -> str:
    """``sha256:`` of ids, masks and weights, in order."""
    digest = hashlib.sha256()
    for row in rows:
        parts = (row.ids, row.mask, row.weight, row.rejected_ids, row.rejected_mask)
        digest.update(json.dumps(parts).encode())
    return "sha256:" + digest.hexdigest()


def as_objective(rows: Sequence[TokenRow], objective: str) -> Sequence[TokenRow]:
    """With the objective ``full`` every token is trained."""
    if objective != "full":
        return rows
    return [dataclasses.replace(row, mask=(True,) * len(row.ids)) for row in rows]
