"""LoRA and its variants as layers of a model: the frozen weight and its low-rank update.

LoRA (arXiv 2106.09685): W + (α/r)·B·A. rsLoRA (arXiv 2312.03732): α/√r. DoRA
(arXiv 2402.09353): the sum's rows are rescaled to a trained magnitude. On CPU the update is
merged into a copy of the weight once a step, and the gradients of A and B come from the
layer's input and output gradient alone: the same figures as the side branch, fewer products.

Shapes: x [..., I], W [O, I], A [r, I], B [O, r], magnitude [O].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from residency.model.four_bits import dequantise_weight
from residency.model.kernels import apply_linear, are_products_narrow, linear_nt


class _Merged(torch.autograd.Function):
    """y = x·Mᵀ with M the merged weight; gradients of A, B (and the magnitude) from x and g.

    Where products are narrow, x and M are kept in bf16 as they were multiplied.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        merged: Tensor,
        a: Tensor,
        b: Tensor,
        magnitude: Tensor | None,
        norm: Tensor | None,
        scale: float,
    ) -> Tensor:
        ctx.scale, ctx.narrow = scale, are_products_narrow()
        if ctx.narrow:
            x, merged = x.bfloat16(), merged.bfloat16()
        y = linear_nt(x, merged).float()
        ctx.save_for_backward(
            x, merged, a, b, magnitude, norm, y if magnitude is not None else None
        )
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, merged, a, b, magnitude, norm, y = ctx.saved_tensors
        g, scaled = grad, grad
        grad_m = None
        if magnitude is not None:
            flat_grad = grad.reshape(-1, grad.shape[-1])
            grad_m = (flat_grad * y.reshape(flat_grad.shape)).sum(0) / magnitude
            scaled = grad * (magnitude / norm)
        if ctx.narrow:
            scaled = scaled.bfloat16()
            g = scaled if magnitude is None else grad.bfloat16()
            a, b = a.bfloat16(), b.bfloat16()
        grad_x = linear_nt(g, merged.t()).float() if ctx.needs_input_grad[0] else None
        rows, flat = scaled.reshape(-1, scaled.shape[-1]), x.reshape(-1, x.shape[-1])
        grad_a = linear_nt(linear_nt(rows, b.t()).t(), flat.t()).float().mul_(ctx.scale)
        # Transposed, because oneDNN is four times slower at a tall thin result.
        grad_b = linear_nt(linear_nt(flat, a).t(), rows.t()).float().mul_(ctx.scale).t()
        return grad_x, None, grad_a, grad_b.contiguous(), grad_m, None, None


class LoraLinear(nn.Module):
    """A frozen linear layer and its low-rank update.

    Args:
        base: ``nn.Linear``, GPT-2's ``Conv1D`` or a 4-bit linear layer; frozen by the caller.
        rank: r. scale: factor of the update, α/r (rsLoRA: α/√r).
        dora: train a magnitude for each output. dropout: on the update's input.
    """

    def __init__(
        self, base: nn.Module, rank: int, scale: float, *, dora: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.base = base
        self.scale = scale
        self.transposed = type(base).__name__ == "Conv1D"
        self.quantised = type(base).__name__ == "Linear4bit"
        if self.quantised:
            outputs, inputs = int(base.out_features), int(base.in_features)  # type: ignore[arg-type]
        else:
            outputs, inputs = self.base_weight().shape
        device = self.weight.device
        self.lora_A = nn.Parameter(torch.empty(rank, inputs, device=device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, rank, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.magnitude: nn.Parameter | None = None
        if dora:
            self.magnitude = nn.Parameter(self.base_weight().float().norm(dim=1))
        self.enabled = True
        self.merging = True
        self._merged: Tensor | None = None
        self._norm: Tensor | None = None
        self._seen: tuple[int, ...] = ()

    @property
    def weight(self) -> Tensor:
        """The base weight as the base keeps it (transformers reads its dtype)."""
        return self.base.weight  # type: ignore[return-value]

    @property
    def bias(self) -> Tensor | None:
        """The base's bias (fused kernels of some architectures read it)."""
        return getattr(self.base, "bias", None)

    @property
    def in_features(self) -> int:
        """Inputs, as the base calls them."""
        return self.lora_A.shape[1]

    @property
    def out_features(self) -> int:
        """Outputs, as the base calls them."""
        return self.lora_B.shape[0]

    def base_weight(self) -> Tensor:
        """[O, I] the frozen weight, dequantised where it is quantised."""
        if self.quantised:
            return dequantise_weight(self.base)
        weight: Tensor = self.base.weight  # type: ignore[assignment]
        return weight.t() if self.transposed else weight

    def merged_weight(self) -> Tensor:
        """[O, I] the weight with the update in it, made anew when A, B or the magnitude changed."""
        parts = [p for p in (self.lora_A, self.lora_B, self.magnitude) if p is not None]
        versions = tuple(p._version for p in parts)
        if self._merged is None or versions != self._seen:
            with torch.no_grad():
                weight = self.base_weight()
                if self._merged is None:
                    self._merged = torch.empty(weight.shape, dtype=weight.dtype)
                # In fp32 the sum is written where it stays; any other weight is summed in fp32 first.
                direct = weight.dtype is torch.float32
                out = self._merged if direct else torch.empty(weight.shape)
                torch.addmm(weight.float(), self.lora_B, self.lora_A, alpha=self.scale, out=out)
                if self.magnitude is not None:
                    self._norm = out.norm(dim=1)
                    out *= (self.magnitude / self._norm)[:, None]
                if not direct:
                    self._merged.copy_(out)
            self._seen = versions
        return self._merged

    def keep_apart(self) -> None:
        """Never merge: base and update as two branches (weights that are sharded have no copy)."""
        self.merging, self._merged = False, None

    def mark_changed(self) -> None:
        """Say that A, B or the magnitude changed (the fused optimizer leaves no trace of it)."""
        self._seen = ()

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., I] → [..., O]."""
        if not self.enabled:
            out: Tensor = self.base(x)
            return out
        bias: Tensor | None = getattr(self.base, "bias", None)
        if x.device.type == "cpu" and not self.quantised and self._can_merge(x):
            merged = self.merged_weight()
            if torch.is_grad_enabled():
                y: Tensor = _Merged.apply(  # type: ignore[no-untyped-call]
                    x, merged, self.lora_A, self.lora_B, self.magnitude, self._norm, self.scale
                )
            else:
                y = linear_nt(x, merged, narrow=are_products_narrow())
            return y if bias is None else y + bias
        return self._side_branch(x, bias)

    def _can_merge(self, x: Tensor) -> bool:
        dropping = self.dropout is not None and self.training
        return (
            self.merging
            and not dropping
            and x.dtype is torch.float32
            and not torch.is_autocast_enabled("cpu")
        )

    def _side_branch(self, x: Tensor, bias: Tensor | None) -> Tensor:
        branch = self.dropout(x) if self.dropout is not None else x
        down = apply_linear(branch, self.lora_A.to(x.dtype))
        update = apply_linear(down, self.lora_B.to(x.dtype)) * self.scale
        base: Tensor = self.base(x)
        if self.magnitude is None:
            return base + update
        weight = self.base_weight()
        with torch.no_grad():
            norm = weight.float().add(self.lora_B @ self.lora_A, alpha=self.scale).norm(dim=1)
        factor = (self.magnitude / norm).to(x.dtype)
        plain = base if bias is None else base - bias
        if self.dropout is not None:
            plain = apply_linear(branch, weight.to(x.dtype))
        scaled: Tensor = base + (factor - 1) * plain + factor * update
        return scaled


def lora_modules(model: Any) -> Iterator[tuple[str, LoraLinear]]:
    """Every adapted layer with its path in the model, in order."""
    for path, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield path, module


def replace_module(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def update_scale(alpha: float, rank: int, rslora: bool) -> float:
    """α/r, or α/√r with rsLoRA."""
    return alpha / math.sqrt(rank) if rslora else alpha / rank
