"""Matrix products and normalisation kernels, each proved against plain PyTorch in the tests.

On CPU, PyTorch sends fp32 matrix products to MKL, which leaves more than half of a
recent AMD processor unused. oneDNN, which PyTorch also carries, does not; the op that
``torch.compile`` emits for linear layers reaches it, in strict fp32. Where a short measurement
prefers it, ``use_fast_products`` makes every linear layer of a model use it (figures:
docs/training.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from residency.model.product_choice import bf16_available, onednn_preferred

_NARROW: ContextVar[bool] = ContextVar("narrow products", default=False)


@contextmanager
def narrow_products() -> Iterator[None]:
    """Inside, fp32 products on a CPU that has bf16 instructions are computed in bf16, sums in fp32.

    Factors and results are rounded to bf16; whatever lies between products stays fp32, as weights do.
    """
    token = _NARROW.set(bf16_available())
    try:
        yield
    finally:
        _NARROW.reset(token)


def are_products_narrow() -> bool:
    """Whether ``narrow_products`` holds: a function with a backward pass of its own keeps it till then."""
    return _NARROW.get()


def linear_nt(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, narrow: bool = False
) -> Tensor:
    """``x @ weightᵀ + bias`` without a gradient. x: [..., K], weight: [N, K] (any strides).

    ``narrow``: in bf16 (see ``narrow_products``), where x is fp32 on the CPU.
    """
    if x.dtype is torch.float32 and x.device.type == "cpu" and x.numel():
        if not (narrow or onednn_preferred()):
            return nn.functional.linear(x, weight, bias)
        rows = x.reshape(-1, x.shape[-1])
        if narrow:
            rows, weight = rows.bfloat16(), weight.bfloat16()
            product = torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")
            out: Tensor = product.float() if bias is None else product + bias
        else:
            out = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        # Given three dimensions the op returns a view, which models that add in place may not change.
        return out.resize_(*x.shape[:-1], len(weight)) if x.ndim != 2 else out
    return nn.functional.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    """Linear layer whose three products go through ``linear_nt``; its factors are kept as multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.narrow = are_products_narrow()
        if ctx.narrow:
            x, weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        if not ctx.narrow:
            return linear_nt(x, weight, bias)
        y = linear_nt(x, weight).float()
        return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_b = grad.reshape(-1, grad.shape[-1]).sum(0) if ctx.needs_input_grad[2] else None
        if ctx.narrow:
            grad = grad.bfloat16()
        grad_x = linear_nt(grad, weight.t()).float() if ctx.needs_input_grad[0] else None
        flat = grad.reshape(-1, grad.shape[-1])
        grad_w = None
        if ctx.needs_input_grad[1]:
            grad_w = linear_nt(flat.t(), x.reshape(-1, x.shape[-1]).t()).float()
        return grad_x, grad_w, grad_b


def apply_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Differentiable ``x @ weightᵀ + bias``; oneDNN on CPU in fp32, PyTorch's elsewhere."""
    narrow = are_products_narrow()
    if x.dtype is not torch.float32 or x.device.type != "cpu":
        return nn.functional.linear(x, weight, bias)
    if not (narrow or onednn_preferred()) or torch.is_autocast_enabled("cpu"):
        return nn.functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    return linear_nt(x, weight, bias, narrow=narrow)


class OneDnnLinear(nn.Linear):
    """``nn.Linear`` whose products go to oneDNN; the same parameters, names and outputs."""

    def forward(self, input: Tensor) -> Tensor:
        """input: [..., in_features] → [..., out_features]."""
        return apply_linear(input, self.weight, self.bias)


def use_fast_products(model: nn.Module) -> int:
    """Make every plain ``nn.Linear`` of a model on CPU use oneDNN. Returns how many there were.

    Also where fp32 products are faster without it, since bf16 ones go through it (``narrow_products``).
    """
    if not (onednn_preferred() or bf16_available()):
        return 0
    count = 0
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDnnLinear
            count += 1
    return count
