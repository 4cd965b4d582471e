"""``[generate]``: how answers are generated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from residency.config.section import Section


class GenerateConfig(Section):
    """How answers are generated for evaluation."""

    max_new_tokens: int = Field(128, ge=1)
    """Token budget of an answer."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy."""
    samples: int = Field(1, ge=1)
    """Answers an item (more than one needs a temperature above 0)."""
    batch_size: int = Field(32, ge=1, le=1 << 20)
    """Sequences decoded together."""
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    """Number format of the products when a local model answers or is scored; below fp32 approximate."""
    stop: list[str] = []
    """Strings at which an answer ends."""
