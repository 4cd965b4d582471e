"""The web server, with limits on what one visitor can hold."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""A connection that has not sent a whole request after this long is closed."""
MOST_CONNECTIONS = 200
"""More at once are answered 503."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no whole request arrives in time."""

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
        # `cycle` is the request being answered; without one the visitor has sent none, or half.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._close_if_idle)


def make_settings(app: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """How the server listens."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


def run_server(app: FastAPI, *, host: str, port: int) -> None:
    """Serve an application until interrupted."""
    uvicorn.Server(make_settings(app, host=host, port=port)).run()
