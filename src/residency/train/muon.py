"""Muon for the hidden matrices, AdamW for everything else, as one optimizer.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) replaces a matrix's
momentum by the nearest orthogonal matrix. The implementation is PyTorch's; here the two are
joined so that the training engine sees parameter groups, state and steps of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class _RoutedState:
    """``state[parameter]`` of whichever optimizer owns the parameter."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self._owner = {
            id(parameter): optimizer
            for optimizer in optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }

    def __getitem__(self, parameter: nn.Parameter) -> dict[str, Any]:
        return self._owner[id(parameter)].state[parameter]  # type: ignore[no-any-return]


class MuonAdamW:
    """Muon on matrices inside the layers, AdamW on embeddings, head and vectors.

    A group's ``factor`` scales the engine's learning rate; Muon's rate is about five times
    AdamW's because its steps have unit spectral norm.

    Args:
        named: trainable parameters by name. learning_rate: AdamW's. muon_rate: Muon's.
        weight_decay: of matrices.
    """

    def __init__(
        self,
        named: Mapping[str, nn.Parameter],
        *,
        learning_rate: float,
        muon_rate: float,
        weight_decay: float,
    ) -> None:
        inside = [p for name, p in named.items() if p.ndim == 2 and ".layers." in name]
        chosen = {id(p) for p in inside}
        rest = [p for p in named.values() if id(p) not in chosen]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(inside, lr=muon_rate, momentum=0.95, weight_decay=weight_decay),
            torch.optim.AdamW(
                rest, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
            ),
        ]
        for optimizer, rate in zip(self._optimizers, (muon_rate, learning_rate), strict=True):
            for group in optimizer.param_groups:
                group["factor"] = rate / learning_rate
        self.param_groups = [g for o in self._optimizers for g in o.param_groups]
        self.state = _RoutedState(self._optimizers)

    def step(self) -> None:
        """One step of both."""
        for optimizer in self._optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)
