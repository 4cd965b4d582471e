"""Training under ``torchrun``: every rank takes a share of each batch.

    torchrun --nproc-per-node 2 -m residency train demo
    torchrun --nproc-per-node 2 fit.py    # a script that calls residency.train.train

Every rank holds the model, or with ``train.sharding = "full"`` a slice of it (sharding.py).
The batch of a step is the same as with one process; rank r takes every size-th row from the
r-th on. The loss is divided by the trained tokens of the whole batch on every rank, so that
gradients simply add up. Rank 0 writes; the others read what it wrote. ``--max-restarts`` makes
torchrun start anew after a rank died, and training goes on from the last checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous

Row = TypeVar("Row")
PATIENCE = timedelta(days=7)
"""How long a rank waits for another: rank 0 may generate answers for hours between two trainings.
A rank that died is noticed at once, by the others' connections and by torchrun."""


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
        for grad, summed in zip(
            grads, torch.split(bucket, [g.numel() for g in grads]), strict=True
        ):
            grad.copy_(summed.view_as(grad))

    def add(self, *values: float) -> tuple[float, ...]:
        """The sum over ranks of each value."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor)
        return tuple(tensor.tolist())

    def most(self, value: int) -> int:
        """The largest value of any rank."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value])
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor[0])

    def tell(self, message: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Rank 0's message (JSON), on every rank; the others pass none."""
        if self.size == 1:
            return dict(message or {})
        raw = json.dumps(message).encode() if self.first else b""
        size = torch.tensor([len(raw)])
        dist.broadcast(size, 0)
        body = torch.zeros(int(size[0]), dtype=torch.uint8)
        if self.first:
            body.copy_(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
        dist.broadcast(body, 0)
        return dict(json.loads(body.numpy().tobytes()))

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

    def leave(self) -> None:
        """End the group, once every rank has heard what was said last."""
        if self.size > 1:
            with contextlib.suppress(RuntimeError):  # a rank that left first may look like a fault
                dist.barrier()
            dist.destroy_process_group()


def join_world() -> World:
    """The group that ``torchrun`` made of this process, or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not dist.is_available():
        return World()
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            _init_group("cpu:gloo,cuda:nccl")
        else:
            _init_group("gloo")
    return World(dist.get_rank(), size)


def _init_group(backend: str) -> None:
    """``init_process_group``, each attempt under a new name.

    torchrun (2.13) keeps one store over restarts: a rank that is back before the others finds
    their addresses of the last attempt there, and connects to nobody.
    """
    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        backend,
        store=dist.PrefixStore(f"attempt-{attempt}", store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
