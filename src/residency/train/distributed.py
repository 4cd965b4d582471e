"""Data parallel training under ``torchrun``: every rank holds the model and a share of each batch.

    torchrun --nproc-per-node 2 fit.py    # a script that calls residency.train.train

The batch of a step is the same as with one process; rank r takes every size-th row from the
r-th on. The loss is divided by the trained tokens of the whole batch on every rank, so that
gradients simply add up. Rank 0 writes; the others read what it wrote. ``--max-restarts`` makes
torchrun start anew after a rank died, and training goes on from the last checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

Row = TypeVar("Row")


@dataclass(frozen=True)
class World:
    """The processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def share(self, rows: Sequence[Row]) -> list[Row]:
        """This rank's rows of a batch."""
        return list(rows[self.rank :: self.size])

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over ranks, in place; a rank without rows adds zero."""
        if self.size == 1:
            return
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        grads = [p.grad for p in parameters if p.grad is not None]
        bucket = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(bucket)
        for grad, part in zip(grads, torch.split(bucket, [g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def add(self, *values: float) -> tuple[float, ...]:
        """The sum over ranks of each value."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor)
        return tuple(tensor.tolist())

    def agree(self, value: float) -> float:
        """Rank 0's value."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(tensor, 0)
        return float(tensor[0])

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            dist.barrier()


def world() -> World:
    """The group that ``torchrun`` made of this process, or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not dist.is_available():
        return World()
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("cpu:gloo,cuda:nccl")
        else:
            dist.init_process_group("gloo")
    return World(dist.get_rank(), size)
