"""QLoRA's 4-bit layers on a CPU (NF4, arXiv 2305.14314): dequantise, then an ordinary product.

bitsandbytes (0.50) turns a weight into a layout for inference at the first forward in eval mode
without gradients; from then on its CPU product has no gradient, and training through it would be
silently wrong. Here the weight stays as it was quantised, and is dequantised for each product,
forward and backward.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from residency.model.kernels import linear_nt


def dequantise_weight(layer: nn.Module) -> Tensor:
    """[O, I] the weight of a 4-bit layer, in fp32."""
    from bitsandbytes.functional import dequantize_4bit

    weight: Any = layer.weight
    out: Tensor = dequantize_4bit(weight.data, weight.quant_state)
    return out.float()


class _Product(torch.autograd.Function):
    """y = x·Wᵀ with W dequantised twice rather than held."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer = layer
        return linear_nt(x, dequantise_weight(layer).to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return linear_nt(grad, dequantise_weight(ctx.layer).to(grad.dtype).t()), None


def _forward_dequantised(layer: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = _Product.apply(x, layer)  # type: ignore[no-untyped-call]
    bias: Tensor | None = getattr(layer, "bias", None)
    return y if bias is None else y + bias.to(y.dtype)


def make_differentiable(model: nn.Module) -> int:
    """Let every 4-bit layer of a model on a CPU compute as described. Returns how many there are."""
    layers = [m for m in model.modules() if type(m).__name__ == "Linear4bit"]
    for layer in layers:
        layer.forward = partial(_forward_dequantised, layer)
    return len(layers)
