"""The optimizers: AdamW, and Muon for the hidden matrices with AdamW for everything else.

Both are PyTorch's. AdamW's groups: no decay on vectors; with LoRA+ a higher rate for B. Muon
(Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) replaces a matrix's momentum by
the nearest orthogonal matrix; here the two are joined so that the training engine sees parameter
groups, state and steps of one. A group's ``factor`` scales the schedule's learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from residency.config.train import TrainConfig


def make_adamw(trainable: Mapping[str, nn.Parameter], settings: TrainConfig) -> torch.optim.AdamW:
    """AdamW over parameters by name, fused."""
    groups = group_parameters(trainable, settings)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def group_parameters(
    trainable: Mapping[str, nn.Parameter], settings: TrainConfig
) -> list[dict[str, Any]]:
    """Parameter groups: no decay on vectors; with LoRA+ (arXiv 2402.12354) a higher rate for B."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainable.items():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        factor = settings.lora_plus if "lora_B" in name.split(".")[-2:] else 1.0
        groups.setdefault((decay, factor), []).append(parameter)
    return [
        {"params": params, "weight_decay": decay, "factor": factor}
        for (decay, factor), params in groups.items()
    ]


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
        others = [p for p in named.values() if id(p) not in chosen]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(inside, lr=muon_rate, momentum=0.95, weight_decay=weight_decay),
            torch.optim.AdamW(
                others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
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
