"""Is it a causal model? What comes later must not change what was said before.

A masked language model (BERT and its kin) loads as a causal one and trains on answers that it can
see. So every model is asked once, when it is loaded: two sequences that differ in their last token
alone must have the same logits at all tokens before.
"""

from __future__ import annotations

from typing import Any

import torch

from residency.errors import ModelError

LENGTH = 9
TOLERANCE = {torch.float32: 1e-3}
"""Largest difference relative to the largest logit, by number format; others 5e-2."""


@torch.no_grad()
def prove_causal(model: Any, where: str) -> None:
    """Refuse a model whose earlier logits depend on its last token.

    Raises:
        ModelError: it looks ahead, or its forward fails on plain token ids.
    """
    rows = _probe_rows(model).to(next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        # One after the other: rows of one batch could meet in a router or a kernel's rounding.
        first, second = (
            model(input_ids=row[None], attention_mask=torch.ones_like(row)[None], use_cache=False)
            .logits[0, :-1]
            .float()
            for row in rows
        )
    except Exception as error:
        message_lines = str(error).splitlines()
        raise ModelError(
            f"the model does not run on plain text: {type(error).__name__}: "
            f"{message_lines[0] if message_lines else ''}",
            where=where,
            next_step="use a model of text alone whose architecture transformers runs here",
        ) from error
    finally:
        model.train(was_training)
    gap = float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))
    if not gap <= TOLERANCE.get(next(model.parameters()).dtype, 5e-2):
        raise ModelError(
            "not a causal model: its answers would see what comes after them (changing the last "
            f"token moves earlier logits by {gap:.1e} of the largest)",
            where=where,
            next_step="use a decoder model (a masked one such as BERT cannot write), or set what "
            'makes it one in its config.json (BERT: "is_decoder": true)',
        )


@torch.no_grad()
def prove_writes(model: Any, where: str) -> None:
    """Refuse a hybrid without any attention layer where transformers cannot write with it.

    Such models count what they have read by the cache of an attention layer; training runs, and
    every answer would fail. Models that are recurrent throughout (Mamba) have a count of their own.

    Raises:
        ModelError: the forward with a cache fails.
    """
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ["attention"]
    if any("attention" in kind and "linear" not in kind for kind in kinds):
        return
    row = _probe_rows(model)[:1, :2].to(next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        model(input_ids=row, attention_mask=torch.ones_like(row), use_cache=True)
    except Exception as error:
        raise ModelError(
            f"no layer of the model has attention ({', '.join(sorted(set(kinds)))}), and "
            "transformers cannot write with it",
            where=where,
            next_step="use a model of this kind with attention layers (layer_types in config.json)",
        ) from error
    finally:
        model.train(was_training)


def _probe_rows(model: Any) -> torch.Tensor:
    """[2, LENGTH] ordinary ids that differ in the last one; none with a meaning of its own."""
    config = model.config.get_text_config()
    special: set[int] = set()
    for name, value in vars(config).items():
        if name.endswith("token_id") or name.endswith("token_index"):
            special |= {int(v) for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, int)}  # fmt: skip
    usable = [n for n in range(int(config.vocab_size)) if n not in special] or [0]
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(0, min(len(usable), 1000), (LENGTH + 1,), generator=generator).tolist()
    ids = [usable[n] for n in chosen]
    if ids[-1] == ids[-2]:
        ids[-1] = usable[(chosen[-1] + 1) % len(usable)]
    return torch.tensor([ids[:-1], [*ids[:-2], ids[-1]]])
