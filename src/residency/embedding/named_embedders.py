"""Embedders that the user may name in place of the offline default.

``""`` is WordLlama, offline. ``sentence-transformers:NAME`` loads a folder, or a model of the hub.
``endpoint`` sends the texts to the server in ``[embedding]``; nothing is sent unless it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np

from residency.config.endpoint import EndpointConfig
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import ConfigError, EndpointError, MissingExtraError
from residency.http.embeddings import EndpointEmbeddings
from residency.interfaces import Embedder
from residency.secrets import mask_address

Vectors = np.ndarray[Any, np.dtype[np.float32]]
BATCH = 64
"""Texts sent in one request."""
WHERE = "residency.toml evaluate.embedder"


def open_embedder(name: str, endpoint: EndpointConfig) -> Embedder:
    """The embedder that ``evaluate.embedder`` names.

    Raises:
        ConfigError: an unknown name, or ``endpoint`` without a URL.
        MissingExtraError: sentence-transformers is not installed.
    """
    if name in ("", "wordllama"):
        return WordLlamaEmbedder()
    kind, _, model = name.partition(":")
    if kind == "sentence-transformers" and model:
        return SentenceEmbedder(model)
    if name == "endpoint":
        return EndpointEmbedder(endpoint)
    raise ConfigError(
        f"unknown embedder {name!r}",
        where=WHERE,
        next_step='use "", "sentence-transformers:NAME" or "endpoint"',
    )


class SentenceEmbedder:
    """A sentence-transformers model, from a folder or the hub; remote code stays off.

    Raises:
        MissingExtraError: the package is not installed. ConfigError: the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtraError(
                "the package sentence-transformers is not installed",
                where=WHERE,
                next_step="pip install 'residency[embed]'",
            ) from None
        self.name = f"sentence-transformers:{model}"
        try:
            self._model = SentenceTransformer(model, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the sentence-transformers model {model!r} cannot be loaded: "
                f"{str(error).splitlines()[0]}",
                where=WHERE,
                next_step="name a folder, or a model of the hub",
            ) from None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        raw = self._model.encode(list(texts), batch_size=BATCH, show_progress_bar=False)
        return scale_to_unit(raw)


class EndpointEmbedder:
    """The embeddings of an OpenAI-compatible server, each text sent once.

    Args:
        transport: how httpx reaches the server (tests put a fake one here).
        sleep: waits between attempts.

    Raises:
        ConfigError: no URL, or the key's environment variable is not set.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        if not config.url:
            raise ConfigError(
                "the endpoint embedder has no address",
                where="residency.toml [embedding]",
                next_step='set embedding.url, e.g. url = "http://localhost:8080/v1"',
            )
        self._endpoint = EndpointEmbeddings(config, transport=transport, sleep=sleep)
        self.name = f"endpoint:{config.model}@{mask_address(str(config.url))[0]}"
        self._known: dict[str, Vectors | None] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions).

        A text for which the server gives no vector (it is beyond its limit, or the vector holds
        NaN) has a row of zeros: nothing can be said of its meaning.

        Raises:
            EndpointError: the server still fails after the retries, or its answer cannot be used.
        """
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            for text, row in zip(batch, self._endpoint.embed(batch), strict=True):
                self._known[text] = None if row is None else scale_to_unit([row])[0]
        if not texts:
            return np.zeros((0, 0), np.float32)
        sizes = {row.shape[0] for row in self._known.values() if row is not None}
        if len(sizes) > 1:
            raise EndpointError(
                f"embeddings of different lengths: {sorted(sizes)}",
                where=self._endpoint.url,
                next_step="check [embedding] in residency.toml and the server",
            )
        nothing = np.zeros(sizes.pop() if sizes else 0, np.float32)
        rows = [self._known[text] for text in texts]
        return np.stack([nothing if row is None else row for row in rows])


def scale_to_unit(raw: Any) -> Vectors:
    """Rows scaled to length 1; a row of zeros, or with a figure that is none, becomes zeros."""
    vectors = np.asarray(raw, np.float64)
    usable = np.isfinite(vectors).all(axis=1, keepdims=True)
    vectors = np.where(usable, vectors, 0.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length), np.float32)
