"""What a model can leave as, and how its weights may be rounded."""

from __future__ import annotations

import re
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
        finer: type of values' and down projections' matrices in the layers that suffer most
            (``is_delicate``), empty for the same as the others; finer_small: where it does not fit.
    """

    name: str
    rows: str
    small: str
    embedding: str
    file_type: int
    finer: str = ""
    finer_small: str = ""


QUANTISATIONS = {
    q.name: q
    for q in (
        Quantisation("f32", "F32", "F32", "F32", 0),
        Quantisation("f16", "F16", "F16", "F16", 1),
        Quantisation("q8_0", "Q8_0", "F16", "Q8_0", 7),
        Quantisation("q6_k", "Q6_K", "Q8_0", "Q8_0", 18),
        Quantisation("q5_k_m", "Q5_K", "Q5_1", "Q8_0", 17, "Q6_K", "Q8_0"),
        Quantisation("q4_k_m", "Q4_K", "Q5_0", "Q8_0", 15, "Q6_K", "Q8_0"),
        Quantisation("q4_k", "Q4_K", "Q5_0", "Q8_0", 14),
        Quantisation("q4_1", "Q4_1", "F16", "Q8_0", 3),
        Quantisation("q4_0", "Q4_0", "F16", "Q8_0", 2),
    )
}
"""By name. Matrices of the K types need rows of 256; others are stored in the ``small`` type."""

_DELICATE = re.compile(r"blk\.(\d+)\.(?:attn_v|attn_qkv|ffn_down)\.weight")


def is_delicate(tensor: str, layers: int) -> bool:
    """Whether llama.cpp's ``_m`` mixes store this matrix finer: the values and down projections of the
    first and last eighth of the layers, and of every third one between."""
    match = _DELICATE.fullmatch(tensor)
    if match is None:
        return False
    layer, eighth = int(match[1]), layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def choose_types(tensor: str, way: Quantisation, layers: int) -> tuple[str, str]:
    """The type of a matrix, and the one where its rows do not fit."""
    if tensor in ("token_embd.weight", "output.weight"):
        return way.embedding, way.small
    if way.finer and is_delicate(tensor, layers):
        return way.finer, way.finer_small
    return way.rows, way.small
