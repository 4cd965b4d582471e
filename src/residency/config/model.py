"""``[model]``: the base model."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section
from residency.config.value_types import Device


class ModelConfig(Section):
    """The base model."""

    base: str = "smollm2-135m"
    """Base model: `smollm2-135m`, `tiny`, a folder, a hub name, or a `.gguf` file."""
    max_length: int = Field(1024, ge=16)
    """Longest training row, in tokens; longer rows are dropped and listed (see `data.truncation`)."""
    threads: int = Field(0, ge=0, le=4096)
    """CPU threads; 0 means all cores."""
    device: Device = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    template: str = ""
    """Path of a Jinja chat template file to use instead of the model's own."""
    license: str = ""
    """Licence of the base (SPDX, or the hub's name such as `llama3.1`), for cards of exported models; empty: read from its card or LICENSE file."""
    fold_system: bool = False
    """Put the system message before the first user message, where the template has no system role."""
