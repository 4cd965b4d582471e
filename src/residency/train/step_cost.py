"""Figures about a step: model FLOPs, their share of what the machine can do, memory.

FLOPs are counted as the field counts them (PaLM, arXiv 2204.02311, appendix B): two a weight
and token forward; the backward costs once that for the inputs and, where weights train, once
more. Attention's products are left out (under 3 % at 130 tokens). Cached layers and
shared tokens are work not done, and are not counted.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from residency.model.find_layers import Stack, is_linear
from residency.model.kernels import linear_nt


@dataclass(frozen=True)
class Cost:
    """FLOPs of a training step: so many a flat token, and so many a trained position."""

    per_token: float
    per_trained: float

    def of(self, tokens: int, trained: int) -> float:
        """FLOPs of a step."""
        return self.per_token * tokens + self.per_trained * trained


def step_cost(model: Any, stack: Stack, *, first: int, full: bool, cached: bool) -> Cost:
    """Cost of training this model from layer ``first`` up.

    Args:
        full: every weight trains (three products a weight) instead of adapters (two).
        cached: the layers below ``first`` are not run.
    """
    below = sum(_count_weights(layer) for layer in stack.layers[:first])
    above = sum(_count_weights(layer) for layer in stack.layers[first:])
    factor = 6.0 if full else 4.0
    head = model.get_output_embeddings()
    weights = head.weight.numel() if head is not None else 0
    return Cost(factor * above + (0.0 if cached else 2.0 * below), factor * weights)


def _count_weights(layer: nn.Module) -> int:
    total = 0
    for module in layer.modules():
        if is_linear(module):
            total += sum(p.numel() for name, p in module.named_parameters() if name == "weight")
    return total


@lru_cache(maxsize=8)
def measure_peak_flops(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of a 1024³ matrix product here and now: the best of four."""
    x = torch.randn(1024, 1024, device=device).to(dtype)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        float(linear_nt(x, x)[0, 0])  # reading a value waits for the device
        best = min(best, time.perf_counter() - began)
    return float(2 * 1024**3 / best)


def memory_bytes(device: torch.device) -> int:
    """Memory held now: resident in the process, or allocated on a CUDA device."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def reset_peak(device: torch.device) -> None:
    """Forget the peak so far, where the system can (Linux, CUDA)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Most memory held since ``reset_peak``: resident, or allocated on a CUDA device.

    Where the system keeps no peak that can be reset, the memory held now.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return memory_bytes(device)
