"""Llama-like models on flat tokens: stacked projections, no padding, no copies of key heads.

The layers of Llama, Mistral, Qwen2 and Qwen3 are the same few operations (RMSNorm, rotary
positions, grouped query attention, gated SiLU), with or without projection biases and norms of
queries and keys. Everything else takes the generic path. The rotary tables come from the
model's module, so every rope variant with fixed frequencies is right by construction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from residency.infer.matrix_products import Linear, make_linear
from residency.model.stored_model import StoredModel

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, query [T, H, D], key [T, K, D], value [T, K, D]) → [T, H·D]."""

FUSED_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_FIXED_ROPE = frozenset({"default", "linear", "llama3", "yarn"})


@dataclass
class Layer:
    """One decoder layer's products and norms."""

    input_norm: Tensor
    qkv: Linear
    out: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear
    query_norm: Tensor | None
    key_norm: Tensor | None


def why_not_fused(config: Any, max_length: int) -> str:
    """Empty when the fused path covers this architecture at this length, else the reason."""
    if config.model_type not in FUSED_TYPES:
        return f"architecture {config.model_type!r}"
    if config.hidden_act != "silu":
        return f"activation {config.hidden_act!r}"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") not in _FIXED_ROPE:
        return f"rope type {rope.get('rope_type')!r}"
    window = getattr(config, "sliding_window", None)
    slides = getattr(config, "use_sliding_window", config.model_type == "mistral")
    if slides and window is not None and window < max_length:
        return f"a sliding window of {window} tokens"
    return ""


class FusedModel:
    """Weights of a Llama-like model laid out for flat forwards.

    Args:
        model: the Hugging Face causal LM, or its files; its tensors are read, never written.
        max_length: longest position that will be computed.
        precision: of the matrix products: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        weights: replaced parameters by their name in the model (an adapter's merged weights).
        base: a FusedModel of the same model without replacements, whose products are reused.

    Attributes:
        unchanged: number of lowest layers, the embedding included, that are the base's.
    """

    def __init__(
        self,
        model: Any,
        *,
        max_length: int,
        precision: str = "fp32",
        weights: Mapping[str, Tensor] | None = None,
        base: FusedModel | None = None,
    ) -> None:
        config = model.config
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        head_size = getattr(config, "head_dim", None)
        self.head_size: int = head_size or config.hidden_size // config.num_attention_heads
        self.scale: float = self.head_size**-0.5
        self.eps: float = config.rms_norm_eps
        self.vocab: int = config.vocab_size
        self.max_length = max_length
        read = _Reader(model, weights or {}, precision)
        self.unchanged = _count_unchanged_layers(weights or {}, config.num_hidden_layers)
        self.embedding = read.get_tensor("model.embed_tokens.weight")
        self.final_norm = read.get_tensor("model.norm.weight")
        self.layers: list[Layer] = [
            _build_layer(read, f"model.layers.{i}.", base.layers[i] if base else None)
            for i in range(config.num_hidden_layers)
        ]
        head = "lm_head.weight" if "lm_head.weight" in read.names else "model.embed_tokens.weight"
        reuse = (
            base.head if base and not read.is_replaced("lm_head.", "model.embed_tokens.") else None
        )
        self.head: Linear = reuse or make_linear([read.get_tensor(head)], [None], read.precision)
        positions = torch.arange(max_length, device=self.embedding.device)[None]
        if isinstance(model, StoredModel):
            cos, sin = model.rotary(positions)
        else:
            cos, sin = model.model.rotary_emb(self.embedding[:1, None], positions)
        half = self.head_size // 2
        # The two halves of Hugging Face's tables are equal.
        self.cos: Tensor = cos[0, :, None, :half].contiguous()
        self.sin: Tensor = sin[0, :, None, :half].contiguous()

    def forward(
        self, ids: Tensor, positions: Tensor, attend: Attend, select: Tensor | None = None
    ) -> Tensor:
        """Hidden states after the final norm.

        Args:
            ids: [T]. positions: [T]. attend: the attention, which also sees to the cache.
            select: indices of the tokens whose hidden state is wanted (all when None); the
                last layer's projections run on these alone.

        Returns:
            [T or len(select), hidden].
        """
        layers = range(len(self.layers))
        x = self.run_layers(self.embedding[ids], positions, attend, layers, select)
        return self.normalise(x, self.final_norm)

    def forward_above(
        self, x: Tensor, positions: Tensor, attend: Attend, depth: int, select: Tensor
    ) -> Tensor:
        """``forward`` from the states [T, hidden] that leave the first ``depth`` layers."""
        x = self.run_layers(x, positions, attend, range(depth, len(self.layers)), select)
        return self.normalise(x, self.final_norm)

    def run_layers(
        self,
        x: Tensor,
        positions: Tensor,
        attend: Attend,
        layers: range,
        select: Tensor | None = None,
    ) -> Tensor:
        """States [T, hidden] through some of the layers; ``select`` as in ``forward``."""
        turn = self.cos[positions], self.sin[positions]
        last = len(self.layers) - 1
        for index in layers:
            mixed = attend(index, *self.prepare_attention(index, x, *turn))
            if select is not None and index == last:
                mixed, x = mixed[select], x[select]
            x = self.finish_layer(index, x, mixed)
        return x

    def prepare_attention(
        self, index: int, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Query [T, H, D], key and value [T, K, D] of a layer, from the states [T, hidden] and the
        rotary tables at their positions."""
        layer = self.layers[index]
        return self._project_heads(layer, self.normalise(x, layer.input_norm), cos, sin)

    def finish_layer(self, index: int, x: Tensor, mixed: Tensor) -> Tensor:
        """States that leave a layer, from those that came in and what its attention gave [T, H·D]."""
        layer = self.layers[index]
        x = x + layer.out(mixed)
        gate, up = layer.gate_up(self.normalise(x, layer.mlp_norm)).chunk(2, -1)
        return x + layer.down(torch.nn.functional.silu(gate) * up)

    def compute_logits(self, hidden: Tensor) -> Tensor:
        """[n, hidden] → [n, vocabulary], fp32. Callers pass few rows at a time."""
        return self.head(hidden).float()

    def _project_heads(
        self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        heads, kv = self.heads, self.kv_heads
        stacked = layer.qkv(x).view(x.shape[0], heads + 2 * kv, self.head_size)
        value = stacked[:, heads + kv :]
        turned = stacked[:, : heads + kv]
        if layer.query_norm is not None and layer.key_norm is not None:
            query = self.normalise(turned[:, :heads], layer.query_norm)
            key = self.normalise(turned[:, heads:], layer.key_norm)
            turned = torch.cat([query, key], 1)
        a, b = turned.chunk(2, -1)
        turned = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
        return turned[:, :heads], turned[:, heads:], value

    def normalise(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm of states [T, hidden]."""
        if x.dtype == torch.float32:
            variance = x.square().mean(-1, keepdim=True)
            return weight * (x * torch.rsqrt(variance + self.eps))
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return weight * wide.to(x.dtype)


def _count_unchanged_layers(names: Iterable[str], layers: int) -> int:
    """Number of lowest layers that compute what the base's do, given what was replaced."""
    if any(name.startswith("model.embed_tokens.") for name in names):
        return 0
    places = (re.match(r"model\.layers\.(\d+)\.", name) for name in names)
    return min((int(match[1]) for match in places if match), default=layers)


class _Reader:
    """Parameters by name: the replaced ones first, then the model's."""

    def __init__(self, model: Any, replaced: Mapping[str, Tensor], precision: str) -> None:
        self.model_weights = dict(model.named_parameters())
        self.replaced = replaced
        self.precision = precision
        self.names = self.model_weights.keys() | replaced.keys()

    def get_tensor(self, name: str) -> Tensor:
        value = self.replaced[name] if name in self.replaced else self.model_weights[name]
        return value.detach()

    def get_optional(self, name: str) -> Tensor | None:
        return self.get_tensor(name) if name in self.names else None

    def is_replaced(self, *prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in self.replaced)

    def make_product(self, *modules: str) -> Linear:
        return make_linear(
            [self.get_tensor(f"{m}.weight") for m in modules],
            [self.get_optional(f"{m}.bias") for m in modules],
            self.precision,
        )


def _build_layer(read: _Reader, at: str, base: Layer | None) -> Layer:
    attention, mlp = f"{at}self_attn.", f"{at}mlp."
    q, k, v = (f"{attention}{name}_proj" for name in "qkv")
    out, gate, up, down = (
        f"{attention}o_proj",
        f"{mlp}gate_proj",
        f"{mlp}up_proj",
        f"{mlp}down_proj",
    )

    def make_product(old: Linear | None, *modules: str) -> Linear:
        if old is not None and not read.is_replaced(*(f"{m}." for m in modules)):
            return old
        return read.make_product(*modules)

    return Layer(
        input_norm=read.get_tensor(f"{at}input_layernorm.weight"),
        qkv=make_product(base.qkv if base else None, q, k, v),
        out=make_product(base.out if base else None, out),
        mlp_norm=read.get_tensor(f"{at}post_attention_layernorm.weight"),
        gate_up=make_product(base.gate_up if base else None, gate, up),
        down=make_product(base.down if base else None, down),
        query_norm=read.get_optional(f"{attention}q_norm.weight"),
        key_norm=read.get_optional(f"{attention}k_norm.weight"),
    )
