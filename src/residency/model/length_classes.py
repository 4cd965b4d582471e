"""Architectures whose positions depend on how long the batch is, and which lengths may share one.

LongRoPE (Phi-3; arXiv 2402.13753) has two sets of frequencies: short texts use one, texts beyond the
pretrained length the other, and in a batch the longest decides for all. Dynamic NTK scaling takes
frequencies from the very length. An example must not depend on its neighbours, so only examples of
one class are run together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from residency.errors import ModelError
from residency.text.counts import write_count

_POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
)
LEAST_CONTEXT = 32
"""Positions below which no prompt and answer fit, nor the sequences on which a model is proved."""


class LengthClasses:
    """Classes of lengths by a model's configuration; most models have one.

    Args:
        config: the text configuration.
    """

    def __init__(self, config: Any) -> None:
        self.two_sets: int | None = None
        """Length beyond which LongRoPE's other frequencies are used."""
        self.dynamic: int | None = None
        """Length beyond which every length has other frequencies."""
        for rope in _list_ropes(config):
            kind = _read_kind(rope)
            pretrained = (
                rope.get("original_max_position_embeddings")
                or getattr(config, "original_max_position_embeddings", None)
                or getattr(config, "max_position_embeddings", None)
            )
            if kind in {"longrope", "su"} and pretrained:
                self.two_sets = int(pretrained)
            elif "dynamic" in kind and getattr(config, "max_position_embeddings", None):
                self.dynamic = int(config.max_position_embeddings)

    def __call__(self, length: int) -> int:
        """Number of the class of a length."""
        if self.dynamic is not None and length > self.dynamic:
            return length
        return int(self.two_sets is not None and length > self.two_sets)


def read_context_length(config: Any) -> int | None:
    """Most tokens that a model takes, by its configuration; None where nothing bounds them.

    With dynamic rotary scaling the configuration names the length that the model was trained at, and
    texts may be longer by its factor.
    """
    text = config.get_text_config()
    for name in _POSITIONS:
        length = getattr(text, name, None)
        if isinstance(length, int) and length > 0:
            dynamic = (rope for rope in _list_ropes(text) if _read_kind(rope) == "dynamic")
            factors = [float(rope.get("factor") or 1.0) for rope in dynamic]
            return int(length * max(1.0, min(factors, default=1.0)))
    return None


def check_context_length(config: Any, where: str) -> None:
    """Refuse a model that takes too few tokens for anything.

    Raises:
        ModelError: its context is below ``LEAST_CONTEXT``.
    """
    context = read_context_length(config)
    if context is not None and context < LEAST_CONTEXT:
        raise ModelError(
            f"the model has {write_count(context, 'position')}: too few for a prompt and its answer",
            where=where,
            next_step=f"use a model with at least {LEAST_CONTEXT} positions",
        )


def _read_kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "")


def _list_ropes(config: Any) -> list[Mapping[str, Any]]:
    """Rotary settings: one, or one a kind of layer."""
    values = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if not isinstance(values, Mapping):
        return []
    if "rope_type" in values or "type" in values:
        return [values]
    return [value for value in values.values() if isinstance(value, Mapping)]


def forget_longest(model: nn.Module) -> None:
    """Let dynamic frequencies begin anew: transformers keeps those of the longest text it has seen."""
    for module in model.modules():
        original = getattr(module, "original_max_seq_len", None)
        if original is None or not hasattr(module, "max_seq_len_cached"):
            continue
        # LongRoPE chooses by each text, and writes into its buffer: nothing of it is to be undone.
        kinds = getattr(module, "rope_type", "")
        named = kinds.items() if isinstance(kinds, Mapping) else [("", kinds)]
        for layers, kind in named:
            if "dynamic" in str(kind):
                _reset_frequencies(module, f"{layers}_" if layers else "", original)


def _reset_frequencies(module: nn.Module, prefix: str, length: int) -> None:
    frequencies = getattr(module, f"{prefix}original_inv_freq", None)
    current = getattr(module, f"{prefix}inv_freq", None)
    if frequencies is not None and current is not None:
        setattr(module, f"{prefix}inv_freq", frequencies.to(current.device, copy=True))
    setattr(module, f"{prefix}max_seq_len_cached", length)
