"""What one optimizer step did, and in which number format its products run."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did.

    Attributes:
        loss: mean negative log-likelihood of the trained tokens (nats), weighted by row;
            with DPO the mean of its loss over pairs.
        trained: trained tokens. tokens: all tokens of the rows, as if nothing were shared.
        grad_norm: before clipping. learning_rate: of this step. seconds: wall time.
        flops: model FLOPs done (train.metrics).
    """

    loss: float
    trained: int
    tokens: int
    grad_norm: float
    learning_rate: float
    seconds: float
    flops: float = 0.0


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """``auto``: bf16 on CUDA devices with native bf16, fp32 elsewhere (the same on every run)."""
    if precision == "bf16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32
