"""A server in a thread of the tests' process, which leaves no connection open behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn


@contextmanager
def run_in_thread(server: uvicorn.Server, sockets: Sequence[socket.socket] = ()) -> Iterator[None]:
    """Run a server until the block ends.

    A page that is still open, or a stream that is still sent, outlives a server that is told to
    end at once; what is left of them would be a warning in whichever test runs next.
    """
    end = server.shutdown

    async def end_all(sockets: list[socket.socket] | None = None) -> None:
        await end(sockets)
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.05)  # a transport is closed by the loop, at its next turns

    server.shutdown = end_all
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": list(sockets) or None}, daemon=True
    )
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join(30)
