"""Examples → token rows, and the truncation ledger: what is too long, and what that costs.

The token cache is keyed by the content of everything that decides the ids (the rows, the chat
template, the special tokens and the tokenizer), so it can never be stale.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from residency.chat import ChatFormat, Encoded
from residency.data.spread import Spread, here
from residency.errors import TemplateError
from residency.types import (
    Example,
    Message,
    Progress,
    ProgressEvent,
    TokenRow,
    content_id,
    no_progress,
)

Truncation = Literal["drop", "left", "right"]
_BLOCK = 512
POLICIES: tuple[Truncation, ...] = ("drop", "left", "right")
CACHE_VERSION = 1
"""Raised whenever the same example would give other ids than before."""


@dataclass(frozen=True)
class RowTokens:
    """One conversation before truncation. An example gives one, or several: a conversation whose
    history the template rewrites is taught turn by turn.

    ``mask`` is True where a token is trained. ``raw`` marks raw text, which is divided into
    windows and never dropped.
    """

    example: str
    source: str
    ids: list[int]
    mask: list[bool]
    rejected_ids: list[int] = field(default_factory=list)
    rejected_mask: list[bool] = field(default_factory=list)
    weight: float = 1.0
    raw: bool = False

    @property
    def length(self) -> int:
        """Tokens of the longer side."""
        return max(len(self.ids), len(self.rejected_ids))


@dataclass(frozen=True)
class Affected:
    """A row that truncation changes or drops.

    ``action`` is ``dropped``, ``cut``, ``divided``, ``refused`` or ``trains on nothing``; ``lost`` and
    ``lost_trained`` count the tokens that are not trained because of it.
    """

    example: str
    source: str
    tokens: int
    action: str
    lost: int = 0
    lost_trained: int = 0
    reason: str = ""


@dataclass(frozen=True)
class PolicyCost:
    """What one truncation policy would do to the rows."""

    dropped: int = 0
    cut: int = 0
    lost_tokens: int = 0
    lost_trained: int = 0
    without_end: int = 0
    """Rows that lose their end token: from these the model would not learn to stop."""

    def plus(self, row: RowTokens, max_length: int, policy: Truncation) -> PolicyCost:
        """With one more row that is too long."""
        kept, note = truncate(row, max_length, policy)
        if note is None:
            return self
        cut = bool(kept) and note.action == "cut"
        return PolicyCost(
            self.dropped + (not kept),
            self.cut + cut,
            self.lost_tokens + note.lost,
            self.lost_trained + note.lost_trained,
            self.without_end + (cut and policy == "right"),
        )


@dataclass(frozen=True)
class Ledger:
    """How many rows and tokens are too long, and what is done about each.

    Attributes:
        rows, tokens, trained: conversations, their tokens and trained tokens before truncation.
        longest: tokens of the longest. lengths: tokens of each conversation.
        too_long: conversations above ``max_length``.
        policies: what each policy would do. affected: what the chosen one does, row by row.
        refused: rows that the chat template refuses, with the reason.
    """

    max_length: int
    truncation: Truncation
    rows: int
    tokens: int
    trained: int
    longest: int
    too_long: int
    policies: dict[Truncation, PolicyCost]
    affected: list[Affected] = field(default_factory=list)
    refused: list[Affected] = field(default_factory=list)
    lengths: Sequence[int] = ()


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
    encoded, refused = tokenise(examples, chat, cache_dir=cache_dir, progress=progress)
    builder = LedgerBuilder(max_length, truncation)
    rows = [kept for row in encoded for kept in builder.add(row)]
    for example, reason in refused:
        builder.refuse(example, reason)
    alive = {row.example for row in rows}
    dropped = tuple(dict.fromkeys(e.id for e in examples if e.id not in alive))
    return EncodedRows(rows, builder.ledger(), dropped)


def tokenise(
    examples: Sequence[Example],
    chat: ChatFormat,
    *,
    cache_dir: Path | None = None,
    spread: Spread = here,
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
            refused += [(examples[first + place], reason) for place, reason in bad]
    progress(ProgressEvent("tokenise", len(examples), len(examples), "rows"))
    if path is not None:
        _write_cache(path, key, rows, refused)
    return rows, refused


@dataclass(frozen=True)
class _Encode:
    """Encodes a block: its rows, and place and reason of those that the template refuses."""

    chat: ChatFormat

    def __call__(self, block: Sequence[Example]) -> tuple[list[RowTokens], list[tuple[int, str]]]:
        rows: list[RowTokens] = []
        refused: list[tuple[int, str]] = []
        for place, example in enumerate(block):
            try:
                rows += encode_example(example, self.chat)
            except TemplateError as error:
                refused.append((place, error.what))
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
    whole = chat.encode(messages)
    rejected = Encoded([], [])
    if example.rejected is not None:
        rejected = chat.encode((*example.prompt, Message("assistant", example.rejected)))
    raw = len(messages) == 1
    rows = [
        RowTokens(
            example.id,
            example.source,
            whole.ids,
            whole.mask,
            rejected.ids,
            rejected.mask,
            example.weight,
            raw,
        )
    ]
    for index in whole.context_turns:
        part = chat.encode(messages[: index + 1])
        own = len(chat.prompt_ids(messages[:index]))
        mask = [trained and n >= own for n, trained in enumerate(part.mask)]
        rows.append(RowTokens(example.id, example.source, part.ids, mask, weight=example.weight))
    return rows


def truncate(
    row: RowTokens, max_length: int, truncation: Truncation
) -> tuple[list[TokenRow], Affected | None]:
    """What is trained of a row under a policy, and a note if that is not all of it."""
    trained = sum(row.mask) + sum(row.rejected_mask)
    if row.length <= max_length:
        kept, note = [_token_row(row, row.ids, row.mask)], None
    elif row.raw:
        kept = [
            _token_row(row, row.ids[i : i + max_length], row.mask[i : i + max_length])
            for i in range(0, len(row.ids), max_length)
        ]
        return kept, Affected(row.example, row.source, row.length, "divided")
    elif truncation == "drop":
        lost = len(row.ids) + len(row.rejected_ids)
        return [], Affected(
            row.example,
            row.source,
            row.length,
            "dropped",
            lost,
            trained,
            f"{row.length} tokens, the limit is {max_length}",
        )
    else:
        kept = [_cut(row, max_length, truncation)]
        cut = kept[0]
        note = Affected(
            row.example,
            row.source,
            row.length,
            "cut",
            len(row.ids) + len(row.rejected_ids) - len(cut.ids) - len(cut.rejected_ids),
            trained - sum(cut.mask) - sum(cut.rejected_mask),
        )
    empty = not any(kept[0].mask) or (kept[0].rejected_ids and not any(kept[0].rejected_mask))
    if empty:
        return [], Affected(
            row.example,
            row.source,
            row.length,
            "trains on nothing",
            len(row.ids),
            trained,
            "no token of the answer is left",
        )
    return kept, note


def _token_row(row: RowTokens, ids: list[int], mask: list[bool]) -> TokenRow:
    return TokenRow(
        row.example,
        tuple(ids),
        tuple(mask),
        row.weight,
        tuple(row.rejected_ids),
        tuple(row.rejected_mask),
    )


def _cut(row: RowTokens, max_length: int, truncation: Truncation) -> TokenRow:
    def side(ids: list[int], mask: list[bool]) -> tuple[list[int], list[bool]]:
        if len(ids) <= max_length:
            return ids, mask
        if truncation == "right":
            return ids[:max_length], mask[:max_length]
        # The first token is kept: it is the BOS, or the mark that opens the conversation.
        rest = max_length - 1
        return ids[:1] + ids[len(ids) - rest :], mask[:1] + mask[len(mask) - rest :]

    ids, mask = side(row.ids, row.mask)
    rejected_ids, rejected_mask = side(row.rejected_ids, row.rejected_mask)
    return TokenRow(
        row.example, tuple(ids), tuple(mask), row.weight, tuple(rejected_ids), tuple(rejected_mask)
    )


class LedgerBuilder:
    """Adds conversations one by one; keeps figures, not tokens."""

    def __init__(self, max_length: int, truncation: Truncation) -> None:
        self._max_length, self._truncation = max_length, truncation
        self.lengths = array("i")
        self._tokens = self._trained = self._long = 0
        self._costs = {policy: PolicyCost() for policy in POLICIES}
        self._affected: list[Affected] = []
        self._refused: list[Affected] = []

    def add(self, row: RowTokens) -> list[TokenRow]:
        """One more conversation; gives what is trained of it under the chosen policy."""
        self.lengths.append(row.length)
        self._tokens += len(row.ids) + len(row.rejected_ids)
        self._trained += sum(row.mask) + sum(row.rejected_mask)
        kept, note = truncate(row, self._max_length, self._truncation)
        if note is not None:
            self._affected.append(note)
        if row.length > self._max_length:
            self._long += 1
            for policy in POLICIES:
                self._costs[policy] = self._costs[policy].plus(row, self._max_length, policy)
        return kept

    def merge(self, later: LedgerBuilder) -> None:
        """Add the conversations of another after these."""
        self.lengths.extend(later.lengths)
        self._tokens += later._tokens
        self._trained += later._trained
        self._long += later._long
        for policy, cost in later._costs.items():
            mine = vars(self._costs[policy])
            self._costs[policy] = PolicyCost(**{k: n + mine[k] for k, n in vars(cost).items()})
        self._affected += later._affected
        self._refused += later._refused

    def refuse(self, example: Example, reason: str) -> None:
        """A row that the chat template refuses."""
        self._refused.append(Affected(example.id, example.source, 0, "refused", reason=reason))

    def ledger(self) -> Ledger:
        """The figures so far."""
        return Ledger(
            max_length=self._max_length,
            truncation=self._truncation,
            rows=len(self.lengths),
            tokens=self._tokens,
            trained=self._trained,
            longest=max(self.lengths, default=0),
            too_long=self._long,
            policies=dict(self._costs),
            affected=self._affected,
            refused=self._refused,
            lengths=self.lengths,
        )


# --- the cache ---------------------------------------------------------------------------------


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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    pq.write_table(table, draft, compression="zstd")
    draft.replace(path)


def _read_cache(
    path: Path, key: str, examples: Sequence[Example]
) -> tuple[list[RowTokens], list[tuple[Example, str]]] | None:
    """The cached rows; None when there are none, or the file is not what its name says."""
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError):
        return None
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
