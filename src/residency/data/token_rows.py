"""Examples → token rows.

The token cache is keyed by the content of everything that decides the ids (the rows, the chat
template, the special tokens and the tokenizer), so it can never be stale.
"""

from __future__ import annotations

import gc
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from residency.chat.chat_format import ChatFormat, Encoded
from residency.data.block_workers import Spread, run_here
from residency.data.checks.truncation_ledger import Ledger, LedgerBuilder, RowTokens, Truncation
from residency.errors import TemplateError
from residency.files.atomic_write import open_draft
from residency.interfaces import Progress, ProgressEvent, TokenRow, no_progress
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message

_BLOCK = 512
CACHE_VERSION = 3
"""Raised whenever the same example would give other ids than before."""


@dataclass(frozen=True)
class EncodedRows:
    """Rows to train on, and the ledger. ``dropped_ids`` are examples without any row left."""

    rows: list[TokenRow]
    ledger: Ledger
    dropped_ids: tuple[str, ...] = ()


def encode_rows(
    examples: Sequence[Example],
    chat: ChatFormat,
    *,
    max_length: int,
    truncation: Truncation,
    cache_dir: Path | None = None,
    progress: Progress = no_progress,
) -> EncodedRows:
    """Token rows of every example, cut or dropped by ``truncation``, and the ledger.

    Rows that would train on nothing are left out and listed, whatever the policy.
    """
    encoded, refused = tokenise_examples(examples, chat, cache_dir=cache_dir, progress=progress)
    builder = LedgerBuilder(max_length, truncation)
    rows = [token_row for row in encoded for token_row in builder.add(row)]
    for example, reason in refused:
        builder.refuse(example, reason)
    alive = {row.example for row in rows}
    dropped = tuple(dict.fromkeys(e.id for e in examples if e.id not in alive))
    return EncodedRows(rows, builder.ledger(), dropped)


def tokenise_examples(
    examples: Sequence[Example],
    chat: ChatFormat,
    *,
    cache_dir: Path | None = None,
    spread: Spread = run_here,
    progress: Progress = no_progress,
) -> tuple[list[RowTokens], list[tuple[Example, str]]]:
    """Every conversation as ids and mask, and the rows that the template refuses.

    Args:
        spread: where blocks of rows are encoded: ``here``, or on a cluster.
    """
    path = None
    if cache_dir is not None:
        key = content_id(
            "tok", {"version": CACHE_VERSION, "chat": chat.hash, "rows": [e.id for e in examples]}
        )
        path = cache_dir / f"{key}.parquet"
        cached = _read_cache(path, key, examples)
        if cached is not None:
            return cached
    rows: list[RowTokens] = []
    refused: list[tuple[Example, str]] = []
    blocks = (examples[i : i + _BLOCK] for i in range(0, len(examples), _BLOCK))
    with _without_collector():
        for number, (encoded, bad) in enumerate(spread(_Encode(chat), blocks)):
            first = number * _BLOCK
            progress(ProgressEvent("tokenise", first, len(examples), "rows"))
            rows += encoded
            refused += [(examples[first + position], reason) for position, reason in bad]
    progress(ProgressEvent("tokenise", len(examples), len(examples), "rows"))
    if path is not None:
        _write_cache(path, key, rows, refused)
    return rows, refused


@dataclass(frozen=True)
class _Encode:
    """Encodes a block: its rows, and location and reason of those that the template refuses."""

    chat: ChatFormat

    def __call__(self, block: Sequence[Example]) -> tuple[list[RowTokens], list[tuple[int, str]]]:
        rows: list[RowTokens] = []
        refused: list[tuple[int, str]] = []
        for position, example in enumerate(block):
            try:
                rows += encode_example(example, self.chat)
            except TemplateError as error:
                refused.append((position, error.what))
        return rows, refused


@contextmanager
def _without_collector() -> Iterator[None]:
    """Rows are lists of numbers without cycles; the collector would walk over all of them, again
    and again, and free nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def encode_example(example: Example, chat: ChatFormat) -> list[RowTokens]:
    """One row, or one for each assistant turn that the template would write otherwise later.

    Raises:
        TemplateError: the template refuses the messages, or the mask cannot be proved.
    """
    messages = example.messages
    full = chat.encode(messages)
    rejected = Encoded([], [])
    if example.rejected is not None:
        rejected = chat.encode((*example.prompt, Message("assistant", example.rejected)))
    raw = len(messages) == 1
    rows = [
        RowTokens(
            example.id,
            example.source,
            full.ids,
            full.mask,
            rejected.ids,
            rejected.mask,
            example.weight,
            raw,
        )
    ]
    for index in full.context_turns:
        if not messages[index].trained:
            continue
        turn = chat.encode(messages[: index + 1])
        prompt_length = len(chat.prompt_ids(messages[:index]))
        mask = [trained and n >= prompt_length for n, trained in enumerate(turn.mask)]
        rows.append(RowTokens(example.id, example.source, turn.ids, mask, weight=example.weight))
    return rows


# --- the cache ---------------------------------------------------------------------------------

_DIGEST = 32
"""Bytes of the SHA-256 at the file's end."""


def _write_cache(
    path: Path, key: str, rows: Sequence[RowTokens], refused: Sequence[tuple[Example, str]]
) -> None:
    table = pa.table(
        {
            "example": [r.example for r in rows] + [e.id for e, _ in refused],
            "ids": pa.array([r.ids for r in rows] + [[] for _ in refused], pa.list_(pa.int32())),
            "mask": pa.array([r.mask for r in rows] + [[] for _ in refused], pa.list_(pa.bool_())),
            "rejected_ids": pa.array(
                [r.rejected_ids for r in rows] + [[] for _ in refused], pa.list_(pa.int32())
            ),
            "rejected_mask": pa.array(
                [r.rejected_mask for r in rows] + [[] for _ in refused], pa.list_(pa.bool_())
            ),
            "raw": pa.array([r.raw for r in rows] + [False for _ in refused], pa.bool_()),
            "reason": pa.array(
                [None for _ in rows] + [reason for _, reason in refused], pa.string()
            ),
        }
    ).replace_schema_metadata({"key": key})
    whole = io.BytesIO()
    pq.write_table(table, whole, compression="zstd")
    data = whole.getvalue()
    with open_draft(path, durable=False) as draft:
        draft.write_bytes(data + hashlib.sha256(data).digest())


def _read_cache(
    path: Path, key: str, examples: Sequence[Example]
) -> tuple[list[RowTokens], list[tuple[Example, str]]] | None:
    """The cached rows; None when there are none, or the file is not what its name says."""
    if not path.is_file():
        return None
    raw = path.read_bytes()
    data, digest = raw[:-_DIGEST], raw[-_DIGEST:]
    if hashlib.sha256(data).digest() != digest:  # damaged, or of an older version
        return None
    table = pq.read_table(io.BytesIO(data))
    if (table.schema.metadata or {}).get(b"key") != key.encode():
        return None
    known = {e.id: e for e in examples}
    rows: list[RowTokens] = []
    refused: list[tuple[Example, str]] = []
    for item in table.to_pylist():
        example = known.get(item["example"])
        if example is None:
            return None
        if item["reason"] is not None:
            refused.append((example, item["reason"]))
            continue
        rows.append(
            RowTokens(
                example.id,
                example.source,
                item["ids"],
                item["mask"],
                item["rejected_ids"],
                item["rejected_mask"],
                example.weight,
                item["raw"],
            )
        )
    return rows, refused
