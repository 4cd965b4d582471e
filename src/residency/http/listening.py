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
    """HTTP/1.1 that closes a connection on which no whole request arrives in time."""

    header_seconds: ClassVar[float] = 15.0
    """A connection that has not sent a whole request's head after this long is closed."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.header_seconds, self._close_if_idle)

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
            self._deadline = self.loop.call_later(self.header_seconds, self._close_if_idle)
