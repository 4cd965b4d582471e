"""What a model can leave as, and how its weights may be rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExportFormat = Literal["hf", "adapter", "gguf", "gguf-adapter", "ollama"]
FORMATS: tuple[ExportFormat, ...] = ("hf", "adapter", "gguf", "gguf-adapter", "ollama")


@dataclass(frozen=True)
class Quantisation:
    """How the matrices of a GGUF file are stored.

    Attributes:
        name: as the user writes it. rows: type of the matrices; small: type of matrices whose rows
            are no multiple of the type's block. embedding: type of the token embedding and the
            output layer, which suffer most. file_type: llama.cpp's number for the whole file.
    """

    name: str
    rows: str
    small: str
    embedding: str
    file_type: int


QUANTISATIONS = {
    q.name: q
    for q in (
        Quantisation("f32", "F32", "F32", "F32", 0),
        Quantisation("f16", "F16", "F16", "F16", 1),
        Quantisation("q8_0", "Q8_0", "F16", "Q8_0", 7),
        Quantisation("q4_0", "Q4_0", "F16", "Q8_0", 2),
        Quantisation("q4_k", "Q4_K", "Q5_0", "Q8_0", 14),
    )
}
"""By name. The matrices of ``q4_k`` need rows of 256; others are stored as ``Q5_0``."""
