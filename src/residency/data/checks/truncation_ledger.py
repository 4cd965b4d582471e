"""The truncation ledger: which rows are too long, and what each policy costs.

Rows are added one by one; figures are stored, not tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from residency.interfaces import TokenRow
from residency.nouns.example import Example
from residency.text.counts import write_count

Truncation = Literal["drop", "left", "right"]
POLICIES: tuple[Truncation, ...] = ("drop", "left", "right")


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
    next_step: str = ""


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
        rows, note = truncate_row(row, max_length, policy)
        if note is None:
            return self
        cut = bool(rows) and note.action == "cut"
        return PolicyCost(
            self.dropped + (not rows),
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


def truncate_row(
    row: RowTokens, max_length: int, truncation: Truncation
) -> tuple[list[TokenRow], Affected | None]:
    """What is trained of a row under a policy, and a note if that is not all of it."""
    trained = sum(row.mask) + sum(row.rejected_mask)
    if row.length <= max_length:
        rows, note = [_token_row(row, row.ids, row.mask)], None
    elif row.raw:
        rows = [
            _token_row(row, row.ids[i : i + max_length], row.mask[i : i + max_length])
            for i in range(0, len(row.ids), max_length)
        ]
        return rows, Affected(row.example, row.source, row.length, "divided")
    elif truncation == "drop":
        lost = len(row.ids) + len(row.rejected_ids)
        return [], Affected(
            row.example,
            row.source,
            row.length,
            "dropped",
            lost,
            trained,
            f"{write_count(row.length, 'token')}, the limit is {max_length}",
        )
    else:
        rows = [_cut_row(row, max_length, truncation)]
        cut = rows[0]
        note = Affected(
            row.example,
            row.source,
            row.length,
            "cut",
            len(row.ids) + len(row.rejected_ids) - len(cut.ids) - len(cut.rejected_ids),
            trained - sum(cut.mask) - sum(cut.rejected_mask),
        )
    empty = not any(rows[0].mask) or (rows[0].rejected_ids and not any(rows[0].rejected_mask))
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
    return rows, note


def _token_row(row: RowTokens, ids: list[int], mask: list[bool]) -> TokenRow:
    return TokenRow(
        row.example,
        tuple(ids),
        tuple(mask),
        row.weight,
        tuple(row.rejected_ids),
        tuple(row.rejected_mask),
    )


def _cut_row(row: RowTokens, max_length: int, truncation: Truncation) -> TokenRow:
    def side(ids: list[int], mask: list[bool]) -> tuple[list[int], list[bool]]:
        if len(ids) <= max_length:
            return ids, mask
        if truncation == "right":
            return ids[:max_length], mask[:max_length]
        # The first token stays: it is the BOS, or the mark that opens the conversation.
        tail_length = max_length - 1
        return ids[:1] + ids[len(ids) - tail_length :], mask[:1] + mask[len(mask) - tail_length :]

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
        rows, note = truncate_row(row, self._max_length, self._truncation)
        if note is not None:
            self._affected.append(note)
        if row.length > self._max_length:
            self._long += 1
            for policy in POLICIES:
                self._costs[policy] = self._costs[policy].plus(row, self._max_length, policy)
        return rows

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

    def refuse(self, example: Example, reason: str, next_step: str = "") -> None:
        """A row that the chat template refuses, and what to do about it."""
        self._refused.append(
            Affected(example.id, example.source, 0, "refused", reason=reason, next_step=next_step)
        )

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
