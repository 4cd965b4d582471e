"""Direct preference optimisation (arXiv 2305.18290), the reference being the adapter switched off.

loss = −log σ(β·[(log π − log π_ref)(chosen) − (log π − log π_ref)(rejected)]), mean over pairs.
Chosen and rejected share their prompt, whose tokens are computed once for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from residency.errors import ConfigError
from residency.interfaces import TokenRow
from residency.train.flat_batch import flatten

if TYPE_CHECKING:
    from residency.train.train_engine import Engine


def dpo_backward(
    engine: Engine, rows: Sequence[TokenRow], total: float, *, spare: TokenRow
) -> tuple[float, int, int]:
    """Gradients of the DPO loss, Σ weight·loss / ``total``; returns it, trained tokens, tokens.

    ``spare`` as in ``Engine.parts``.

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
    for pairs, factor in engine.parts(_micro(rows, engine.settings.micro_tokens), spare):
        sides = [side for row in pairs for side in _sides(row)]
        with torch.no_grad(), engine.adapter_off():
            reference, _, _ = engine.within(_logps, engine, sides)
        policy, count, size = engine.within(_logps, engine, sides)
        gain = policy - reference
        margin = engine.settings.beta * (gain[0::2] - gain[1::2])
        weights = torch.tensor([row.weight * factor / total for row in pairs], device=margin.device)
        value = -(logsigmoid(margin) * weights).sum()
        value.backward()  # type: ignore[no-untyped-call]
        loss += float(value.detach())
        trained += count if factor else 0
        tokens += size if factor else 0
    return loss, trained, tokens


def _sides(row: TokenRow) -> tuple[TokenRow, TokenRow]:
    return (
        TokenRow(row.example, row.ids, row.mask),
        TokenRow(row.example, row.rejected_ids, row.rejected_mask),
    )


def _micro(rows: Sequence[TokenRow], limit: int) -> list[list[TokenRow]]:
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


def _logps(engine: Engine, sides: Sequence[TokenRow]) -> tuple[Tensor, int, int]:
    """[sides] Σ log p of the trained tokens of each side."""
    batch = flatten(sides).to(engine.device)
    with engine.autocast():
        hidden = engine.hidden(sides, batch)
        nll = engine.decoder.nll(hidden, batch.labels)
    logps = torch.zeros(len(sides), device=nll.device).index_add(0, batch.owner, -nll)
    return logps, len(batch.labels), batch.tokens
