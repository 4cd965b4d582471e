"""Who may ask and who may write, and what a page may do: local by default, a token beyond it.

Three things stand between another web page and what these pages write: what the browser says on
where a request comes from (``Sec-Fetch-Site``, ``Origin``), the Host header, and a token that is in
our pages alone, which no other origin can read.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from residency.errors import ConfigError, UserError
from residency.http.listening import is_local

Handler = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "style-src 'self'; style-src-attr 'unsafe-inline'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer. A page may set another Content-Security-Policy."""

COOKIE = "residency_token"
FIELD = "csrf"
"""The form field that carries the token of a page."""
HEADER = "X-CSRF-Token"
"""The header that carries it in requests of our script."""
READING = frozenset({"GET", "HEAD"})
WRITING = frozenset({"POST"})
MOST_BYTES = 256 * 1024 * 1024
"""A longer body is refused: a larger file is named by its path."""


class ForeignRequestError(UserError):
    """A request to write came without the token of a page of ours."""


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


def is_same_origin(request: Request) -> bool:
    """Whether the browser says that a request to write comes from our pages.

    A client that is no browser sends neither header; it is held to the token alone.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # `null` (a sandboxed frame, a file) has no host and fits none
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def find_token(request: Request) -> str:
    """The token that a request to write carries: in its header, or in its form."""
    token = request.headers.get(HEADER, "")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not token and kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        field = (await request.form()).get(FIELD, "")
        token = field if isinstance(field, str) else ""
    return token


def is_token(candidate: str, token: str) -> bool:
    """Whether a token is the right one, in time that does not depend on where they differ."""
    return bool(token) and hmac.compare_digest(candidate.encode(), token.encode())


class Guard:
    """Middleware: the Host header, the method, the origin, the token; then the headers.

    A foreign Host header is refused where no token protects the pages, so that a web page
    elsewhere cannot read them by pointing its name at this machine (DNS rebinding).
    """

    def __init__(self, token: str) -> None:
        self._token = token

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        response = self._refused(request) or await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _refused(self, request: Request) -> Response | None:
        if request.method not in READING | WRITING:
            return PlainTextResponse("GET reads, POST writes.", 405, {"Allow": "GET, HEAD, POST"})
        if request.method in WRITING and not is_same_origin(request):
            return PlainTextResponse("Only these pages themselves may write here.", 403)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return PlainTextResponse("Too long: name the file by its path.", 413)
        if not self._token:
            if not is_local(host_name(request.headers.get("host", ""))):
                return PlainTextResponse("Not this host.", 421)
            return None
        query_token = request.query_params.get("token", "")
        if query_token and is_token(query_token, self._token) and request.method in READING:
            # the token leaves the address bar and goes into a cookie that scripts cannot read
            away = RedirectResponse(request.url.path, 303)
            away.set_cookie(COOKIE, query_token, httponly=True, samesite="strict")
            return away
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_token(bearer, self._token):
            return None
        if is_token(request.cookies.get(COOKIE, ""), self._token):
            return None
        return PlainTextResponse("A token is needed: add ?token=… to the address.", 401)
