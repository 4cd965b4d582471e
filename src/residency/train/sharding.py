"""FSDP2: weights, gradients and optimizer split over the processes (``train.sharding = "full"``).

``torch.distributed.fsdp.fully_shard`` (arXiv 2304.11277) keeps a slice of every weight on each
process and gathers one decoder layer at a time. Gradients are summed, not averaged: the loss is
already divided by the trained tokens of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


class Sharded(nn.Module):
    """A model whose weights are gathered while a function of it runs.

    FSDP works at the forward of modules; the engine's forward calls parts of the model (its
    body, its head's weight), so it is made the forward of a separate module.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: nn.ModuleList,
        device: torch.device,
        dtype: torch.dtype | None = None,
    ) -> None:
        """``dtype``: of the weights from here on; None leaves them as they are."""
        super().__init__()
        self.model = model
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        # Weights lie mapped on disk until a layer is made wide and split: no process ever holds
        # more of the whole model than one layer (or the embeddings).
        for layer in layers:
            fully_shard(layer.to(dtype), mesh=mesh)
        fully_shard(self.to(dtype), mesh=mesh)
        for module in self.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)  # the only kind that gloo has

    def forward(self, call: Callable[..., Any], *args: Any) -> Any:
        """``call(*args)``, with the weights that it reads."""
        return call(*args)


def gather_tensors(named: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """The tensors gathered from all processes, on the CPU; all must call. Only ``keep`` keeps them."""
    out = {}
    for name, value in named.items():
        full = value.full_tensor() if isinstance(value, DTensor) else value
        if keep:
            out[name] = full.detach().cpu()
    return out


def copy_sharded_like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of a tensor that lies over the processes as the parameter does."""
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value.clone()


def assign_tensor(target: Tensor, value: Tensor) -> None:
    """Copy a tensor, whole or sharded, into one that may be sharded."""
    if isinstance(target, DTensor) and not isinstance(value, DTensor):
        value = distribute_tensor(value, target.device_mesh, target.placements)
    target.copy_(value)
