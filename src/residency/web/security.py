"""Who may ask, and what a page may do: local by default, a token beyond, and strict headers."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from residency.errors import ConfigError

Handler = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer. A page may set its own Content-Security-Policy."""

COOKIE = "residency_token"


def is_local(host: str) -> bool:
    """Whether a host name or address can be reached from this machine alone."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(host: str, token: str) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises:
        ConfigError: the address is not local and there is no token of 16 characters or more.
    """
    if is_local(host):
        return
    if len(token) < 16:
        raise ConfigError(
            f"{host} can be reached from other machines, and the pages show your data",
            where="--host",
            next_step="leave --host out, or give --token with at least 16 characters",
        )


def host_name(header: str) -> str:
    """The name in a Host header, without the port: ``[::1]:8642`` → ``[::1]``."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0]


class Guard:
    """Middleware: the Host header, the method, the token; then the headers.

    A foreign Host header is refused where no token protects the pages, so that a web page
    elsewhere cannot read them by pointing its own name at this machine (DNS rebinding).
    """

    def __init__(self, token: str) -> None:
        self._token = token

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        response = self._refused(request) or await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _refused(self, request: Request) -> Response | None:
        if request.method != "GET":
            return PlainTextResponse(
                "These pages can be read, not written to.", 405, {"Allow": "GET"}
            )
        if not self._token:
            if not is_local(host_name(request.headers.get("host", ""))):
                return PlainTextResponse("Not this host.", 421)
            return None
        given = request.query_params.get("token", "")
        if given and self._matches(given):
            # the token leaves the address bar and goes into a cookie that scripts cannot read
            away = RedirectResponse(request.url.path, 303)
            away.set_cookie(COOKIE, given, httponly=True, samesite="strict")
            return away
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._matches(bearer):
            return None
        if self._matches(request.cookies.get(COOKIE, "")):
            return None
        return PlainTextResponse("A token is needed: add ?token=… to the address.", 401)

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())
