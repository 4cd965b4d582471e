"""Checkpoints of sharded runs: every process writes its slices, any number of processes reads them.

``torch.distributed.checkpoint`` with its safetensors storage; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

Groups = Mapping[str, Mapping[str, Tensor]]
FILE_BYTES = 256 << 20
"""About how much of the whole tensors, all processes' slices together, goes into one file."""


def write_shards(folder: Path, groups: Groups) -> None:
    """Write groups of named tensors; all processes call."""
    named = _flatten_groups(groups)
    writer = HuggingFaceStorageWriter(
        str(folder), fqn_to_index_mapping=_assign_files(named), save_distributed=True
    )
    save(named, storage_writer=writer)


def read_shards(folder: Path, groups: Groups) -> None:
    """Fill the groups' tensors, in place, sharded as they now are; all processes call."""
    load(_flatten_groups(groups), storage_reader=HuggingFaceStorageReader(str(folder)))


def _assign_files(named: Mapping[str, Tensor]) -> dict[str, int]:
    """Number of the file for each tensor, from 1: a file is copied in memory before it is written."""
    out, size, file = {}, 0, 1
    for name, value in named.items():
        if size > FILE_BYTES:
            size, file = 0, file + 1
        out[name] = file
        size += value.numel() * value.element_size()
    return out


def _flatten_groups(groups: Groups) -> dict[str, Tensor]:
    # Scalars as vectors: the reader takes slices. A view, so that reading fills the scalar.
    return {
        f"{group}/{name}": value if value.ndim else value.view(1)
        for group, tensors in groups.items()
        for name, value in tensors.items()
    }
