"""One time for a whole answer, however slowly its bytes come.

httpx counts its time-outs anew with every byte: headers of one byte a second would hold a request
for a day. Here each read and write gets what is left of the time of the answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_HELD = threading.local()
"""``ends``: when the answer that this thread reads must be there, on the monotonic clock."""


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """What this thread sends and receives while inside, by a client of ``limit_answers``, ends then.

    Within another such time the earlier end holds.
    """
    before = getattr(_HELD, "ends", None)
    ends = time.monotonic() + seconds
    _HELD.ends = ends if before is None else min(before, ends)
    try:
        yield
    finally:
        _HELD.ends = before


def limit_answers(client: httpx.Client) -> None:
    """Let ``answer_within`` hold for every connection that this client makes, proxies' too."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            # httpx gives no other way to its sockets; test_slow_server.py fails where this moves.
            pool = transport._pool
            pool._network_backend = _LimitedBackend(pool._network_backend)


def check_time() -> None:
    """Raise ``httpx.ReadTimeout`` where the time is over: bytes may come that nobody waited for."""
    ends = getattr(_HELD, "ends", None)
    if ends is not None and time.monotonic() > ends:
        raise httpx.ReadTimeout("the time of the answer is over")


def _limit(timeout: float | None, error: type[Exception]) -> float | None:
    ends = getattr(_HELD, "ends", None)
    if ends is None:
        return timeout
    left: float = ends - time.monotonic()
    if left <= 0:
        raise error("the time of the answer is over")
    return left if timeout is None else min(timeout, left)


class _LimitedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _limit(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _limit(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = _limit(timeout, httpcore.ConnectTimeout)
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _LimitedBackend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        limit = _limit(timeout, httpcore.ConnectTimeout)
        return _LimitedStream(
            self._backend.connect_tcp(host, port, limit, local_address, socket_options)
        )

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        limit = _limit(timeout, httpcore.ConnectTimeout)
        return _LimitedStream(self._backend.connect_unix_socket(path, limit, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
