"""Rows as the base's tokens and loss masks, the same for training and for its estimate."""

from __future__ import annotations

from collections.abc import Sequence

from residency.data.token_rows import EncodedRows, encode_rows
from residency.errors import DataError
from residency.nouns.example import Example
from residency.project.step_needs import HasBase


def encode_examples(ws: HasBase, rows: Sequence[Example]) -> EncodedRows:
    """Rows as tokens, from the cache where they are."""
    return encode_rows(
        rows,
        ws.chat_format,
        max_length=ws.config.model.max_length,
        truncation=ws.config.data.truncation,
        cache_dir=ws.store.folder / "cache" / "tokens",
    )


def encode_trained_rows(ws: HasBase, rows: Sequence[Example]) -> EncodedRows:
    """``encode``, of rows that are to be trained.

    Raises:
        DataError: no row is left to train on.
    """
    encoded = encode_examples(ws, rows)
    if not encoded.rows:
        raise DataError(
            "no row is left to train on",
            where="data.train",
            next_step="residency check says why each row was dropped",
        )
    return encoded
