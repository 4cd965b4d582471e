"""Direct preference optimisation (arXiv 2305.18290), the reference being the adapter switched off.

loss = −log σ(β·[(log π − log π_ref)(chosen) − (log π − log π_ref)(rejected)]), mean over pairs.
Chosen and rejected share their prompt, whose tokens are computed once for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from residency.errors import ConfigError
from residency.interfaces import TokenRow
from residency.train.flat_batch import flatten_rows
from residency.train.forward_pass import ForwardPass


def dpo_backward(
    engine: ForwardPass, rows: Sequence[TokenRow], total: float, *, spare: TokenRow
) -> tuple[float, int, int]:
    """Gradients of the DPO loss, Σ weight·loss / ``total``; returns it, trained tokens, tokens.

    ``spare`` as in ``ForwardPass.pad_micro_batches``.

    Raises:
        ConfigError: with full fine-tuning there is no adapter to switch off.
    """
    if engine.settings.method != "lora":
        raise ConfigError(
            "DPO needs adapters: its reference is the model with the adapter switched off",
            where="train.method",
            next_step='set train.method = "lora"',
        )
    loss, trained, tokens = 0.0, 0, 0
    for pairs, factor in engine.pad_micro_batches(
        _split_pairs(rows, engine.settings.micro_tokens), spare
    ):
        sides = [side for row in pairs for side in _split_sides(row)]
        with torch.no_grad(), engine.adapter_off():
            reference, _, _ = engine.with_weights(_log_probabilities, engine, sides)
        policy, count, size = engine.with_weights(_log_probabilities, engine, sides)
        gain = policy - reference
        margin = engine.settings.beta * (gain[0::2] - gain[1::2])
        weights = torch.tensor([row.weight * factor / total for row in pairs], device=margin.device)
        value = -(logsigmoid(margin) * weights).sum()
        value.backward()  # type: ignore[no-untyped-call]
        loss += float(value.detach())
        trained += count if factor else 0
        tokens += size if factor else 0
    return loss, trained, tokens


def _split_sides(row: TokenRow) -> tuple[TokenRow, TokenRow]:
    return (
        TokenRow(row.example, row.ids, row.mask),
        TokenRow(row.example, row.rejected_ids, row.rejected_mask),
    )


def _split_pairs(rows: Sequence[TokenRow], limit: int) -> list[list[TokenRow]]:
    """Pairs whose two sides together stay within ``limit`` tokens."""
    batches: list[list[TokenRow]] = []
    size = limit
    for row in rows:
        length = len(row.ids) + len(row.rejected_ids)
        if not batches or size + length > limit:
            batches.append([])
            size = 0
        batches[-1].append(row)
        size += length
    return batches


def _log_probabilities(engine: ForwardPass, sides: Sequence[TokenRow]) -> tuple[Tensor, int, int]:
    """[sides] Σ log p of the trained tokens of each side."""
    classes: dict[int, list[int]] = {}
    for number, side in enumerate(sides):
        classes.setdefault(engine.decoder.length_class(len(side.ids)), []).append(number)
    sums = torch.zeros(len(sides), device=engine.device)
    trained = tokens = 0
    for numbers in classes.values():
        alike = [sides[number] for number in numbers]
        batch = flatten_rows(alike).to(engine.device)
        with engine.cast_products():
            hidden = engine.hidden_states(alike, batch)
            nll = engine.decoder.token_losses(hidden, batch.labels)
        owner = torch.tensor(numbers, device=nll.device)[batch.owner]
        sums = sums.index_add(0, owner, -nll)
        trained += len(batch.labels)
        tokens += batch.tokens
    return sums, trained, tokens
