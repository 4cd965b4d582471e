"""Steps of packed pieces, mixed from token files: any step's rows without those before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from residency.interfaces import TokenRow
from residency.pretraining.token_files import TokenFile


def cut_pieces(file: TokenFile, context: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[P, 2] begin and end of every piece of at most ``context`` tokens; none crosses a document.

    Pieces of a single token are left out: nothing stands before it to predict it from.
    """
    begins, ends = np.asarray(file.offsets[:-1]), np.asarray(file.offsets[1:])
    number = -(-(ends - begins) // context)
    first = np.repeat(begins, number)
    within = np.arange(len(first)) - np.repeat(np.cumsum(number) - number, number)
    begin = first + within * context
    end = np.minimum(begin + context, np.repeat(ends, number))
    cut = np.stack([begin, end], axis=1)
    long_enough: np.ndarray[Any, np.dtype[np.int64]] = cut[end - begin > 1]
    return long_enough


class PackedBatches:
    """Steps of ``batch_tokens`` tokens, mixed from corpora by their shares.

    Each corpus is passed through in a shuffled order, again and anew when it is used up. A
    step's rows depend on the step alone, so a resumed run sees exactly what it would have seen.

    Attributes:
        steps: optimizer steps. fingerprint: changes when any batch would.
        epochs: passes over each corpus, by position.
    """

    def __init__(
        self,
        files: Sequence[TokenFile],
        shares: Sequence[float],
        *,
        context: int,
        batch_tokens: int,
        steps: int,
        seed: int,
    ) -> None:
        self.files, self.steps = list(files), steps
        total = sum(shares)
        self._quota = [batch_tokens * share / total for share in shares]
        self._pieces = [cut_pieces(file, context) for file in files]
        self._order: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._ends: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self.epochs: list[float] = []
        for number, (cut, quota) in enumerate(zip(self._pieces, self._quota, strict=True)):
            lengths = cut[:, 1] - cut[:, 0]
            needed = quota * steps
            passes = max(1, int(np.ceil(needed / lengths.sum())) + 1)
            order = np.concatenate(
                [
                    np.random.default_rng([seed, number, turn]).permutation(len(cut))
                    for turn in range(passes)
                ]
            )
            self._order.append(order)
            self._ends.append(np.cumsum(lengths[order]))
            self.epochs.append(needed / float(lengths.sum()))
        parts = [file.sha256 for file in files] + [context, batch_tokens, seed, *self._quota]
        self.fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def batch(self, step: int) -> list[TokenRow]:
        """Rows of a step (0-based): whole pieces, about ``batch_tokens`` tokens in all."""
        rows: list[TokenRow] = []
        for number, (file, cut) in enumerate(zip(self.files, self._pieces, strict=True)):
            edges = [step * self._quota[number], (step + 1) * self._quota[number]]
            low, high = np.searchsorted(self._ends[number], edges, side="right")
            for at in self._order[number][low:high]:
                begin, end = cut[at]
                ids = tuple(int(token) for token in file.tokens[begin:end])
                rows.append(TokenRow(f"{number}:{begin}", ids, (True,) * len(ids)))
        return rows
