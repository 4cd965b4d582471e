"""What is refused before the first step: rows that would train nothing, or train it wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from residency.errors import DataError, TemplateError
from residency.interfaces import TokenRow
from residency.model.end_ids import find_trained_ends
from residency.model.length_classes import read_context_length
from residency.text.counts import write_count
from residency.train.batch_source import Batches, EpochBatches, as_objective


def find_end_ids(model: Any, tokenizer: Any | None = None) -> set[int]:
    """Ids that end a turn, as the model's configs and tokenizer declare them."""
    ends: set[int] = set()
    holders = (model.config.get_text_config(), getattr(model, "generation_config", None), tokenizer)
    for holder in holders:
        value = getattr(holder, "eos_token_id", None)
        values = value if isinstance(value, list | tuple) else [value]
        ends |= {int(v) for v in values if v is not None}
    return ends


def check_source(source: Batches, model: Any, base: Path, objective: str) -> list[str]:
    """``check_rows`` of what a run will train on: all rows, or the first batch of a stream."""
    config = model.config.get_text_config()
    rows = source.rows if isinstance(source, EpochBatches) else source.batch(0)
    declared = find_end_ids(model) | find_turn_ends(base)
    return check_rows(
        as_objective(rows, objective),
        vocabulary=config.vocab_size,
        longest=read_context_length(model.config),
        bos=_find_bos(config),
        # GLM-4's template writes no end: the token that opens the next turn closes an answer.
        ends=declared | set(find_trained_ends(rows, base, declared)),
        objective=objective,
    )


def _find_bos(config: Any) -> int | None:
    """The beginning token, where it is a separate one (not also the end or padding token)."""
    bos = getattr(config, "bos_token_id", None)
    return None if bos == getattr(config, "eos_token_id", None) else bos


def find_turn_ends(base: Path) -> set[int]:
    """Ids of the special tokens that chat templates end a turn with, where the tokenizer has them."""
    try:
        raw = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    names = {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>"}
    added = raw.get("added_tokens") or []
    return {int(t["id"]) for t in added if t.get("content") in names}


def check_rows(
    rows: Sequence[TokenRow],
    *,
    vocabulary: int,
    longest: int | None,
    bos: int | None,
    ends: Iterable[int],
    objective: str,
) -> list[str]:
    """Refuse rows that cannot be trained on; returns warnings about the rest.

    Args:
        vocabulary: number of token ids. longest: most positions the model has, if bounded.
        bos: the beginning token, if the model has one. ends: ids that end an answer.
        objective: as in ``[train]``.

    Raises:
        DataError: no rows; a row with no trained token, an unknown id, too many tokens, or a
            pair without its rejected answer. The message names the row.
        TemplateError: two beginning tokens, or an end token that is never trained.
    """
    if not rows:
        raise DataError("there are no training rows", next_step="look at: residency check")
    for number, row in enumerate(rows, 1):
        _check_row(row, f"row {number} ({row.example})", vocabulary, longest, bos, objective)
    ends = set(ends)
    if objective == "full" or not ends:
        return []
    ending = sum(_trains_end(row, ends) for row in rows)
    if ending == 0:
        raise TemplateError(
            "no row trains an end token: the model would never stop",
            where=f"all {len(rows)} rows",
            next_step=f"the loss mask must cover one of the ids {sorted(ends)} after each answer; "
            "see: residency check --show",
        )
    if ending < len(rows):
        return [f"{len(rows) - ending} of {len(rows)} rows train no end token (cut?)"]
    return []


def _trains_end(row: TokenRow, ends: set[int]) -> bool:
    return any(m and i in ends for i, m in zip(row.ids, row.mask, strict=True))


def _check_row(
    row: TokenRow, where: str, vocabulary: int, longest: int | None, bos: int | None, objective: str
) -> None:
    sides = [(row.ids, row.mask)]
    if objective == "dpo":
        if not row.rejected_ids:
            raise DataError(
                "DPO needs a rejected answer for each row",
                where=where,
                next_step="add the field `rejected`, or set train.objective to another value",
            )
        sides.append((row.rejected_ids, row.rejected_mask))
    for ids, mask in sides:
        if len(ids) != len(mask):
            raise DataError(f"{len(ids)} ids but a mask of {len(mask)}", where=where)
        if not any(mask[1:]):
            raise DataError(
                "no token of this row is trained (its loss mask is empty)",
                where=where,
                next_step="was the whole response cut? raise model.max_length or drop the row; "
                "see the trained tokens with: residency check --show",
            )
        if min(ids) < 0 or max(ids) >= vocabulary:
            raise DataError(
                f"token id {max(ids)} is outside the vocabulary of {vocabulary}",
                where=where,
                next_step="the rows were made with another tokenizer",
            )
        if longest is not None and len(ids) > longest:
            raise DataError(
                f"{write_count(len(ids), 'token')}, but the model has {write_count(longest, 'position')}",
                where=where,
                next_step="lower model.max_length",
            )
        if bos is not None and len(ids) > 1 and ids[0] == bos == ids[1]:
            raise TemplateError(
                "the row begins with two beginning-of-sequence tokens",
                where=where,
                next_step="the template writes one and the tokenizer adds one",
            )
