"""Matrix products of the fused path, chosen by device.

On CPUs whose fp32 products go through MKL's AVX2 kernels (AMD), oneDNN's AVX-512 kernels are
about 2.5 times as fast at the same precision, and a weight packed once serves every batch size.
The packed weight is a reordering: unpacking gives the original bit for bit. For a single row, which
is what one answer alone brings, or a few, some processors read the plain weight faster than the packed one,
whole or a part in each thread: where that was measured here (``single_row_way``, ``most_split_rows``), a weight
is unpacked beside the packed one when such rows keep coming, as long as all of them together stay small.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from residency.model.product_choice import (
    SingleRowWay,
    most_split_rows,
    multiply_split,
    onednn_preferred,
    single_row_way,
    split_weight,
)

_PACK_ROWS = 256
"""Row hint for packing; the blocked layout chosen at 256 is as fast at 2 to 2048 rows."""
_SINGLES_BEFORE = 16
"""Times that few rows came before a weight is unpacked: one answer alone, not the end of a batch."""
_PLAIN_BYTES = 1 << 30
"""Most memory for weights that lie unpacked beside the packed ones."""


class Linear(Protocol):
    """x [T, in] → [T, out]."""

    def __call__(self, x: Tensor) -> Tensor: ...


class DenseLinear:
    """x·Wᵀ + b with PyTorch's product."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, self.weight, self.bias)


def round_rows(rows: int) -> int:
    """The number of rows that is multiplied: above 32 one of eight in each doubling.

    oneDNN makes and keeps code and buffers for every number of rows that it meets, 2 MB in a small model;
    without an end a server that reads prompts of all lengths would grow by hundreds of megabytes.
    """
    step = 1 << max(0, rows.bit_length() - 4)
    return rows if rows <= 32 else -(-rows // step) * step


def _multiply_packed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    rows = x.shape[0]
    more = round_rows(rows) - rows
    padded = torch.nn.functional.pad(x, (0, 0, 0, more)) if more else x
    out: Tensor = torch.ops.mkldnn._linear_pointwise(padded, weight, bias, "none", [], "")
    return out[:rows] if more else out


class PlainRoom:
    """How much memory unpacked weights may still take, all models of this process together."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes; then they are taken."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        """The bytes of a weight that is gone."""
        self.left += size


_room = PlainRoom(_PLAIN_BYTES)


class PackedLinear:
    """x·Wᵀ + b in fp32 with a weight packed for oneDNN.

    Args:
        weight: [out, in]. bias: [out].
        single_rows: where a single row goes: to this weight, the plain one, or the plain one's parts.
        few_rows: up to how many rows go there.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        single_rows: SingleRowWay = "packed",
        few_rows: int = 1,
    ) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _PACK_ROWS)
        self.bias = bias
        self.plain: Tensor | None = None
        self.parts: Tensor | None = None
        self._single_rows = single_rows
        self._bytes = weight.numel() * weight.element_size()
        self._few_rows = few_rows
        self._singles_left = -1 if single_rows == "packed" else _SINGLES_BEFORE

    def __call__(self, x: Tensor) -> Tensor:
        if self._singles_left >= 0 and x.shape[0] <= self._few_rows:
            if self.parts is not None:
                rows = multiply_split(x, self.parts)
                return rows if self.bias is None else rows + self.bias
            if self.plain is not None and x.shape[0] == 1:
                return torch.nn.functional.linear(x, self.plain, self.bias)
            if self.plain is None:
                self._count_single()
        return _multiply_packed(x, self.packed, self.bias)

    def _count_single(self) -> None:
        self._singles_left -= 1
        if self._singles_left < 0 and _room.take(self._bytes):
            self.plain = self.packed.to_dense()
            if self._single_rows == "split":
                self.parts = split_weight(self.plain, torch.get_num_threads())
            weakref.finalize(self, _room.give_back, self._bytes)
            self._singles_left = 0


class Bf16Linear:
    """Products in bf16, sums in fp32, result in the input's precision.

    Approximate: only used when the user asks for it (``precision="bf16"``).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        narrow = weight.bfloat16().contiguous()
        if can_pack(weight.device) and torch.ops.mkldnn._is_mkldnn_bf16_supported():
            narrow = torch.ops.mkldnn._reorder_linear_weight(narrow, _PACK_ROWS)
        self.weight = narrow
        self.bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: Tensor) -> Tensor:
        narrow = x.bfloat16()
        if self.weight.is_mkldnn:
            return _multiply_packed(narrow, self.weight, self.bias).to(x.dtype)
        return torch.nn.functional.linear(narrow, self.weight, self.bias).to(x.dtype)


class Int8Linear:
    """Weights in int8 per output channel, activations in int8 per token, sums in int32.

    Approximate: only used when the user asks for it (``precision="int8"``).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.scale = weight.float().abs().amax(1).clamp_min(1e-12) / 127  # [out]
        codes = (weight.float() / self.scale[:, None]).round().clamp(-127, 127)
        self.codes = codes.to(torch.int8).t().contiguous()  # [in, out]
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        scale = x.float().abs().amax(1, keepdim=True).clamp_min(1e-12) / 127  # [T, 1]
        codes = (x / scale).round_().to(torch.int8)
        out = torch._int_mm(codes, self.codes).float().mul_(scale).mul_(self.scale)
        if self.bias is not None:
            out += self.bias
        return out.to(x.dtype)


def can_pack(device: torch.device) -> bool:
    """Whether oneDNN's packed products exist on this device."""
    return device.type == "cpu" and onednn_preferred()


def make_linear(
    weights: Sequence[Tensor], biases: Sequence[Tensor | None], precision: str
) -> Linear:
    """One product for several weights that read the same input, stacked along the output.

    Args:
        weights: each [out_i, in]. biases: each [out_i] or None.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
    """
    weight = torch.cat(list(weights)) if len(weights) > 1 else weights[0]
    bias = None
    if any(b is not None for b in biases):
        bias = torch.cat(
            [
                weight.new_zeros(w.shape[0]) if b is None else b
                for w, b in zip(weights, biases, strict=True)
            ]
        )
    if precision == "int8":
        return Int8Linear(weight, bias)
    if precision == "bf16":
        return Bf16Linear(weight, bias)
    if can_pack(weight.device) and weight.dtype == torch.float32:
        threads = torch.get_num_threads()
        return PackedLinear(
            weight,
            bias,
            single_rows=single_row_way(threads),
            few_rows=max(1, most_split_rows(threads)),
        )
    return DenseLinear(weight, bias)
