"""A known Llama-like model folder, read without transformers.

Importing transformers' modelling code takes longer than reading a small model and writing its
first token. For models whose files are known (``BaseModel.known``) configuration and weights are
read here as they lie on the disk; tests prove that logits are those of transformers. Every other
folder goes through ``residency.model.load_model``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from residency.errors import ModelError


class StoredConfig(SimpleNamespace):
    """The entries of a ``config.json`` as attributes."""

    def get_text_config(self) -> StoredConfig:
        """Itself: a model of text alone."""
        return self


class StoredModel:
    """Configuration and weights of a Llama-like model in fp32 on the CPU.

    Args:
        folder: Hugging Face folder with safetensors, plain rotary positions.

    Raises:
        ModelError: a file is missing or damaged, or its rotary positions are of another kind.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._weights: dict[str, Tensor] = {
                name: value.float()
                for file in sorted(folder.glob("*.safetensors"))
                for name, value in load_file(file).items()
            }
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"the model cannot be read: {error}", where=str(folder)) from None
        self.config = StoredConfig(**raw)
        if self.config.rope_parameters["rope_type"] != "default":
            raise ModelError("rotary positions of another kind", where=str(folder))

    def named_parameters(self) -> Iterable[tuple[str, Tensor]]:
        """Weights by their name in the file."""
        return self._weights.items()

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each [1, T, head size], at positions [1, T] (Su et al. 2021)."""
        size = self.config.head_dim
        base = self.config.rope_parameters["rope_theta"]
        frequency = 1.0 / (base ** (torch.arange(0, size, 2).float() / size))
        angles = positions[..., None].float() * frequency
        both = torch.cat([angles, angles], -1)
        return both.cos(), both.sin()
