"""What both servers share: the socket, who can reach it, and connections that never ask anything."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from residency.errors import UserError


def is_local(host: str) -> bool:
    """Whether a host name or address can be reached from this machine alone."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which a request's head does not arrive in time.

    The clock runs from the connection's start, and again from the first byte of each later request.
    Between two requests a connection may rest as long as uvicorn's ``timeout_keep_alive`` says: a
    clock that ran through would end it at the moment at which the next request is on its way.
    """

    header_seconds: ClassVar[float] = 15.0
    """A connection whose request's head is not whole after this long is closed."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        """Start the clock where this begins a request, stop it where the head is whole."""
        if self._is_resting:
            self._start_clock()
        super().data_received(data)
        if not self._is_resting:
            self._stop_clock()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and tell the application, which never sees it."""
        super().send_400_response(msg)
        self._tell_application("note_malformed")

    def handle_events(self) -> None:
        """Tell the application of a request that uvicorn answers 503, which it never sees."""
        limit, before = self.limit_concurrency, self.cycle
        too_many = limit is not None and max(len(self.connections), len(self.tasks)) >= limit
        super().handle_events()
        if too_many and self.cycle is not before:
            self._tell_application("note_overload")

    def _tell_application(self, what: str) -> None:
        note = getattr(getattr(self.config.app, "state", None), what, None)
        if note is not None:
            note()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    @property
    def _is_resting(self) -> bool:
        # `cycle` is the request being answered; without one the client has sent none, or half.
        return self.cycle is None or self.cycle.response_complete

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
