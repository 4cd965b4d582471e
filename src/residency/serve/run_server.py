"""The listening server: bounded connections, and an end in which answers in hand are finished."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from residency.config.serve import ServeConfig
from residency.errors import UserError

HEADER_SECONDS = 15.0
"""A connection that has not sent a whole request's head after this long is closed."""
KEEP_ALIVE_SECONDS = 30


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no request arrives in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _close_if_idle(self) -> None:
        # `cycle` is the request being answered; without one the client has sent none, or half.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._close_if_idle)


class DrainingServer(uvicorn.Server):
    """A server whose first signal finishes the answers in hand, and whose second ends it at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        on_drain: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_ready, self._on_drain = on_ready, on_drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so.

        Raises:
            UserError: another server took the port while the models were loaded.
        """
        try:
            await super().startup(sockets)
        except OSError as error:
            raise report_taken_port(error, "the address") from None
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours while it runs; a drained server has ended well, so none is raised again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain; at the second signal, leave."""
        self._on_drain()
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound, before any model is loaded.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise report_taken_port(error, f"{host}:{port}") from None
    return bound


def report_taken_port(error: OSError, where: str) -> UserError:
    """Nothing can listen there."""
    return UserError(
        f"cannot listen: {error.strerror or error}",
        where=where,
        next_step="choose another --port, or end what listens there",
    )


def make_server(
    app: FastAPI,
    config: ServeConfig,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_drain: Callable[[], None] = lambda: None,
) -> DrainingServer:
    """A server with the limits of the settings. Requests are written to no log."""
    settings = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        limit_concurrency=config.connections,
        backlog=2048,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(config.drain)),
        server_header=False,
        proxy_headers=False,
    )
    return DrainingServer(settings, on_ready=on_ready, on_drain=on_drain)
