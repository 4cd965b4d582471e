"""Embedders that the user may name in place of the offline default.

``""`` is WordLlama, offline. ``sentence-transformers:NAME`` loads a folder, or a model of the hub.
``endpoint`` sends the texts to the server in ``[embedding]``; nothing is sent unless it is named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np

from residency.config.endpoint import EndpointConfig
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import ConfigError, EndpointError, MissingExtraError
from residency.interfaces import Embedder

Vectors = np.ndarray[Any, np.dtype[np.float32]]
BATCH = 64
"""Texts sent in one request."""
WHERE = "residency.toml evaluate.embedder"


def named_embedder(name: str, endpoint: EndpointConfig) -> Embedder:
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
        return unit(raw)


class EndpointEmbedder:
    """The ``/embeddings`` route of an OpenAI-compatible server.

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
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        if not config.url:
            raise ConfigError(
                "the endpoint embedder has no address",
                where="residency.toml [embedding]",
                next_step='set embedding.url, e.g. url = "http://localhost:8080/v1"',
            )
        headers = {}
        if config.key_env:
            key = os.environ.get(config.key_env, "")
            if not key:
                raise ConfigError(
                    f"the environment variable {config.key_env} with the API key is not set",
                    next_step=f"export {config.key_env}=…",
                )
            headers["Authorization"] = f"Bearer {key}"
        self.name = f"endpoint:{config.model}@{config.url}"
        self._config = config
        self._url = config.url.rstrip("/") + "/embeddings"
        self._client = httpx.Client(headers=headers, timeout=config.timeout, transport=transport)
        self._sleep = sleep or time.sleep
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions); each text is sent once.

        Raises:
            EndpointError: the server still fails after the retries, or its answer cannot be used.
        """
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self._known.update(zip(batch, self._ask(batch), strict=True))
        if not texts:
            return np.zeros((0, 0), np.float32)
        return np.stack([self._known[text] for text in texts])

    def _ask(self, batch: list[str]) -> Vectors:
        body = {"model": self._config.model, "input": batch}
        what = ""
        for attempt in range(self._config.retries + 1):
            if attempt:
                self._sleep(min(2.0 ** (attempt - 1), 30.0))
            try:
                response = self._client.post(self._url, json=body)
                if response.status_code == 200:
                    return _read(response.json(), len(batch))
                what = f"HTTP {response.status_code}: {response.text[:120]}"
                if response.status_code < 500 and response.status_code not in (408, 429):
                    break
            except httpx.HTTPError as error:
                what = f"{type(error).__name__}: {error}"
            except (ValueError, KeyError, TypeError) as error:
                what = f"the answer is not a list of embeddings ({error})"
        raise EndpointError(
            what, where=self._url, next_step="check [embedding] in residency.toml and the server"
        )


def unit(raw: Any) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays."""
    vectors = np.nan_to_num(np.asarray(raw, np.float32))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length), np.float32)


def _read(raw: Any, count: int) -> Vectors:
    rows = sorted(raw["data"], key=lambda row: int(row["index"]))
    if [int(row["index"]) for row in rows] != list(range(count)):
        raise ValueError(f"{len(rows)} embeddings for {count} texts")
    vectors = unit([row["embedding"] for row in rows])
    if vectors.ndim != 2:
        raise ValueError("embeddings of different lengths")
    return vectors
