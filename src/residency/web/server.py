"""The web server, with limits on what one visitor can hold."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from residency.http.listening import BoundedProtocol, open_socket

MOST_CONNECTIONS = 200
"""More at once are answered 503."""


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


class _SayingServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_ready(self.config.port)


def run_server(app: FastAPI, *, host: str, port: int, on_ready: Callable[[int], None]) -> None:
    """Serve an application until interrupted.

    Args:
        port: 0 takes a free one. on_ready: called with the port once connections are taken.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    bound = open_socket(host, port)
    taken = int(bound.getsockname()[1])
    _SayingServer(make_settings(app, host=host, port=taken), on_ready).run(sockets=[bound])
