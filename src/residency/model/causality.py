"""Is it a causal model? What comes later must not change what was said before.

A masked language model (BERT and its kin) loads as a causal one and trains on answers that it can
see. So every model is tested once, when it is loaded: two sequences that differ in their last token
alone must have the same logits at all tokens before.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from residency.errors import ModelError
from residency.model.find_layers import Stack

LENGTH = 9
TOLERANCE = {torch.float32: 1e-3}
"""Largest difference relative to the largest logit, by number format; others 5e-2."""
WRITTEN = 3
"""Tokens that each model writes when it is loaded: the first without a cache, the others with it."""
WRITING_TOLERANCE = {torch.float32: 1e-2}
"""As ``TOLERANCE``, for a step with a cache, which sums in another order; others 0.2."""


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
    if not torch.isfinite(first).all():
        raise ModelError(
            "the model's logits are NaN or infinite, on plain text already",
            where=where,
            next_step="the weights overflow, or were saved from a training that diverged: use "
            "another copy",
        )
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
    """Refuse a model with which transformers cannot write, or not what its forward says.

    Training runs the whole text at once, writing takes one token at a time with a cache. Some
    architectures fail with it (hybrids without an attention layer; ProphetNet), some are given other
    positions (RoBERTa and its kin): training would go well, and no answer would show it.

    Raises:
        ModelError: ``generate`` fails, or its logits are not those of the whole text.
    """
    row = _probe_rows(model)[:1].to(next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        gap = _measure_writing(model, row)
    except Exception as error:
        lines = str(error).splitlines()
        kinds = getattr(model.config.get_text_config(), "layer_types", None) or ["attention"]
        reason, step = "", "use a model of text alone with which transformers itself can write"
        if not any("attention" in kind and "linear" not in kind for kind in kinds):
            reason = f"no layer of the model has attention ({', '.join(sorted(set(kinds)))}), and "
            step = "use a model of this kind with attention layers (layer_types in config.json)"
        raise ModelError(
            f"{reason}transformers cannot write with it "
            f"({type(error).__name__}: {lines[0] if lines else ''})",
            where=where,
            next_step=step,
        ) from error
    finally:
        model.train(was_training)
    if not gap <= WRITING_TOLERANCE.get(next(model.parameters()).dtype, 0.2):
        raise ModelError(
            "what transformers writes with it is not what it learns: in writing, a token's logits "
            f"differ by {gap:.1e} of the largest from those of the whole text at once",
            where=where,
            next_step="use a model of text alone; a newer transformers may write with this one",
        )


def prove_trains(model: Any, stack: Stack, where: str) -> None:
    """Refuse a model through whose layers no gradient finds its way to an adapter.

    Reversible layers (Reformer) compute their backward themselves, only where their input needs one.

    Raises:
        ModelError: the last layer's weights do not take part in the gradient.
    """
    weights = [p for p in stack.layers[-1].parameters() if p.is_floating_point() and p.ndim > 1]
    if not weights:  # quantised: nothing here can be tested
        return
    row = _probe_rows(model)[:1].to(weights[0].device)
    wanted = [p.requires_grad for p in model.parameters()]
    model.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    try:
        with torch.enable_grad():
            logits = model(
                input_ids=row, attention_mask=torch.ones_like(row), use_cache=False
            ).logits
    finally:
        for parameter, want in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(want)
    if not logits.requires_grad:
        raise ModelError(
            f"adapters of a {type(model).__name__} cannot be trained: no gradient passes its layers",
            where=where,
            next_step="use another architecture (docs/architectures.md lists those that work)",
        )


def _measure_writing(model: Any, row: torch.Tensor) -> float:
    """How far stock ``generate``'s logits lie from those of a forward over the same tokens."""
    from transformers import GenerationConfig

    saved_config = model.generation_config
    model.generation_config = GenerationConfig(pad_token_id=0)  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = model.generate(
                row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=WRITTEN,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
    finally:
        model.generation_config = saved_config
    ids = out.sequences[:, : row.shape[1] + WRITTEN - 1]
    whole = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    want = whole[0, -WRITTEN:].float()
    got = torch.cat(list(out.logits)).float()
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-6))


def _probe_rows(model: Any) -> torch.Tensor:
    """[2, LENGTH] ordinary ids that differ in the last one; none with a special meaning."""
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
