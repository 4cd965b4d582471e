"""Vectors of texts from the ``/embeddings`` route of an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np

from residency.config.endpoint import EndpointConfig
from residency.errors import EndpointError
from residency.http.endpoint_client import (
    EndpointClient,
    RefusedError,
    TryAgainError,
    choose_pause,
)

Vectors = np.ndarray[Any, np.dtype[np.float32]]
ROUTE = "/embeddings"
_CHECK = "check [embedding] in residency.toml and the server"
_TOO_LONG = frozenset({400, 413, 422, 500})
"""How servers refuse a text (or all texts together) beyond their limit."""


class EndpointEmbeddings:
    """The embeddings of one server.

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
        self._client = EndpointClient(config, ROUTE, transport=transport, sleep=sleep)
        self._config = config
        self._works = False

    @property
    def url(self) -> str:
        """Where texts are sent, without what is secret in the address."""
        return self._client.shown_url

    def embed(self, texts: Sequence[str]) -> list[list[float] | None]:
        """The server's vector of each text; None for a text that is beyond its limit.

        A batch that is refused is halved down to the text that the server cannot take.

        Raises:
            EndpointError: the server still fails after the retries, refuses every text, or its
                answer cannot be used.
        """
        if not texts:
            return []
        try:
            rows = self._ask_with_retries(list(texts))
        except RefusedError as error:
            if len(texts) == 1:
                if not self._works or error.code not in _TOO_LONG:
                    self._require_one_answer(error)
                return [None]
            middle = len(texts) // 2
            return [*self.embed(texts[:middle]), *self.embed(texts[middle:])]
        self._works = True
        return list(rows)

    def _require_one_answer(self, refusal: RefusedError) -> None:
        """A server that refuses a short word refuses everything."""
        try:
            self._ask_with_retries(["hello"])
        except RefusedError:
            raise self._client.make_error(refusal.what, _CHECK) from None
        self._works = True

    def _ask_with_retries(self, batch: list[str]) -> list[list[float]]:
        body = {"model": self._config.model, "input": batch}
        for attempt in range(self._config.retries + 1):
            self._client.wait_turn()
            try:
                return _read_vectors(self._client.post(body), len(batch))
            except TryAgainError as error:
                what = error.what
                if attempt == self._config.retries:
                    break
                if error.pause is None:
                    self._client.sleep(choose_pause(attempt, None))
            except EndpointError as error:
                raise self._client.make_error(error.what, _CHECK) from None
        raise self._client.make_error(what, _CHECK)


def _read_vectors(raw: Any, count: int) -> list[list[float]]:
    try:
        rows = sorted(raw["data"], key=lambda row: int(row["index"]))
        if [int(row["index"]) for row in rows] != list(range(count)):
            raise ValueError(f"{len(rows)} embeddings for {count} texts")
        vectors = [
            [float("nan") if x is None else float(x) for x in row["embedding"]] for row in rows
        ]
        if len({len(vector) for vector in vectors}) > 1:
            raise ValueError("embeddings of different lengths")
    except (ValueError, KeyError, TypeError) as error:
        raise TryAgainError(f"the answer is not a list of embeddings ({error})") from None
    return vectors
