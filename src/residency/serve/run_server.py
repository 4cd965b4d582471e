"""The listening server: bounded connections, and an end in which answers in hand are finished."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from residency.config.serve import ServeConfig
from residency.http.listening import BoundedProtocol, report_taken_port

KEEP_ALIVE_SECONDS = 30


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
