"""``POST /v1/embeddings``: the project's embedder behind OpenAI's API."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from residency.interfaces import Embedder
from residency.serve.read_request import EmbeddingRequest

NAMES = ("embedder",)
"""Names of the embedder beside its real one."""


def name_embedder(embedder: Embedder) -> tuple[str, ...]:
    """The names by which clients ask for it."""
    return (*NAMES, embedder.name)


def write_embeddings(
    embedder: Embedder, request: EmbeddingRequest, texts: Sequence[str]
) -> dict[str, Any]:
    """The vectors of the texts, in order.

    An embedder tells no count of tokens: usage counts words.
    """
    vectors = np.asarray(embedder.embed(list(texts)), np.float32)
    data = [
        {"object": "embedding", "index": at, "embedding": _write_vector(row, request)}
        for at, row in enumerate(vectors)
    ]
    words = count_words(texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def count_words(texts: Sequence[str]) -> int:
    """Words of all texts."""
    return sum(len(text.split()) for text in texts)


def _write_vector(row: Any, request: EmbeddingRequest) -> Any:
    if request.encoding_format == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return [float(value) for value in row]
