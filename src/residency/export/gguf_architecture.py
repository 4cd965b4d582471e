"""Hugging Face configurations as GGUF metadata, for the families that are exported.

The keys, the added 1 of Gemma's norms and the order of the rows of query and key are those of
llama.cpp's converter; a tensor or setting that is not understood is refused, never left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from residency.errors import ModelError


@dataclass(frozen=True)
class Family:
    """How llama.cpp names and stores a family.

    Attributes:
        name: its architecture there. swaps_halves: whether rows of query and key are stored in
            pairs (llama.cpp's order of rotary positions for Llama). norm_offset: added to the
            weights of norms. head_size: whether the size of a head is stated.
    """

    name: str
    swaps_halves: bool = False
    norm_offset: float = 0.0
    head_size: bool = False


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", swaps_halves=True, head_size=True),
    "mistral": Family("llama", swaps_halves=True, head_size=True),
    "smollm3": Family("smollm3", swaps_halves=True, head_size=True),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3", head_size=True),
    "gemma": Family("gemma", norm_offset=1.0, head_size=True),
    "gemma2": Family("gemma2", norm_offset=1.0, head_size=True),
    "gemma3_text": Family("gemma3", norm_offset=1.0, head_size=True),
    "phi3": Family("phi3"),
}
"""By ``model_type``."""


def find_family(config: Any) -> Family:
    """The family of a configuration.

    Raises:
        ModelError: llama.cpp files of this architecture are not written here.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ModelError(
            f"GGUF files of the architecture {config.model_type!r} are not written",
            next_step=f"use --format hf; GGUF is written for {', '.join(FAMILIES)}",
        )
    if config.model_type == "smollm3" and not all(config.no_rope_layers):
        skipped = config.no_rope_layers
        every = config.no_rope_layer_interval
        expected = [int((n + 1) % every != 0) for n in range(config.num_hidden_layers)]
        if skipped != expected or every != 4:
            raise ModelError("llama.cpp knows no other layers without positions than every fourth")
    return family


def write_architecture(writer: Any, config: Any, family: Family) -> None:
    """The settings of the architecture.

    Raises:
        ModelError: a setting that llama.cpp's family does not have.
    """
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(_context_length(config, family))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(_rotary_size(config, head_size))
    if family.head_size:
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    activation = getattr(config, "hidden_activation", None) or config.hidden_act
    expected = ("silu",) if family.norm_offset == 0 else ("gelu_pytorch_tanh", "gelu")
    if activation not in expected:
        raise ModelError(f"llama.cpp's {family.name} has no activation {activation!r}")
    if family.name in ("gemma2", "gemma3"):
        writer.add_sliding_window(config.sliding_window or 0)
    if family.name == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if family.name in ("gemma2", "gemma3") and config.query_pre_attn_scalar != head_size:
        raise ModelError(
            f"llama.cpp scales {family.name}'s scores by the size of a head; this model by another"
        )
    if family.name == "phi3":
        writer.add_sliding_window(config.sliding_window or 0)
    _write_rope(writer, config, family)


def _context_length(config: Any, family: Family) -> int:
    """Within a window that the family's graph in llama.cpp does not have, both say the same."""
    length = int(config.max_position_embeddings)
    slides = getattr(config, "use_sliding_window", config.model_type == "mistral")
    window = getattr(config, "sliding_window", None)
    if family.name in ("llama", "qwen2", "qwen3") and slides and window:
        return min(length, int(window))
    return length


def _rotary_size(config: Any, head_size: int) -> int:
    parameters = getattr(config, "rope_parameters", None) or {}
    part = parameters.get("partial_rotary_factor", getattr(config, "partial_rotary_factor", 1.0))
    return int(head_size * (part or 1.0))


def _write_rope(writer: Any, config: Any, family: Family) -> None:
    import gguf

    parameters = dict(getattr(config, "rope_parameters", None) or {})
    if any(isinstance(value, Mapping) for value in parameters.values()):
        parameters = _split_gemma3_rope(writer, parameters)
    kind = parameters.get("rope_type", "default")
    writer.add_rope_freq_base(float(parameters.get("rope_theta", 10000.0)))
    if kind == "default" or (kind == "llama3" and family.name == "llama"):
        return
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(parameters["factor"]))
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(parameters["factor"]))
        writer.add_rope_scaling_orig_ctx_len(int(parameters["original_max_position_embeddings"]))
    elif kind == "longrope" and family.name == "phi3":
        original = int(parameters["original_max_position_embeddings"])
        writer.add_rope_scaling_orig_ctx_len(original)
        scale = config.max_position_embeddings / original
        factor = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
        writer.add_rope_scaling_attn_factors(factor)
    else:
        raise ModelError(
            f"rotary positions of the kind {kind!r} are not written for {family.name}",
            next_step="use --format hf",
        )


def _split_gemma3_rope(writer: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Gemma 3 turns its local layers with another base."""
    local = parameters.get("sliding_attention") or {}
    if local.get("rope_type", "default") != "default" or local.get("rope_theta") != 10000.0:
        raise ModelError("llama.cpp's gemma3 has no other rotary base of local layers than 10000")
    return dict(parameters["full_attention"])


def rope_tensors(config: Any, family: Family) -> dict[str, np.ndarray]:
    """Factors of the rotary frequencies that are stored as tensors (Llama 3.1, LongRoPE)."""
    parameters = dict(getattr(config, "rope_parameters", None) or {})
    kind = parameters.get("rope_type", "default")
    if kind == "longrope":
        return {
            "rope_factors_long.weight": np.array(parameters["long_factor"], np.float32),
            "rope_factors_short.weight": np.array(parameters["short_factor"], np.float32),
        }
    if kind != "llama3" or family.name != "llama":
        return {}
    head_size = (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    base, original = parameters["rope_theta"], parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    waves = 2 * math.pi * base ** (np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    smooth = np.clip((original / waves - low) / (high - low), 0.0, 1.0)
    factors = 1 / ((1 - smooth) / parameters["factor"] + smooth)
    return {"rope_freqs.weight": factors.astype(np.float32)}


def reorder_rows(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection from halves to pairs, head by head."""
    rows = values.shape[0]
    return (
        values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
        .swapaxes(1, 2)
        .reshape(values.shape)
    )
