"""Before a request reaches a route: who asks, from where, and how much is sent."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from residency.errors import ConfigError
from residency.http.listening import is_local
from residency.serve.api_errors import ApiError

SHORTEST_KEY = 16
MOST_HEADERS = 100
STRANGERS = (401, 421)
"""With these a request is refused whose sender is not known to be a client."""
OPEN_PATHS = ("/health",)
"""Answered without a key: they say nothing about models or requests."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def read_keys(text: str, host: str, where: str) -> tuple[bytes, ...]:
    """The keys of a setting, several with commas between.

    Raises:
        ConfigError: a key is too short, or the server would listen beyond this machine without one.
    """
    keys = tuple(key.strip().encode() for key in text.split(",") if key.strip())
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ConfigError(
            f"a key has fewer than {SHORTEST_KEY} characters",
            where=where,
            next_step="python -c 'import secrets; print(secrets.token_urlsafe())' makes one",
        )
    if not keys and not is_local(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no key protects the models",
            where="--host",
            next_step=f"leave --host out, or export {where}=… with at least {SHORTEST_KEY} characters",
        )
    return keys


class RequestGuard:
    """ASGI middleware: the key, the Host header, the kind and the size of the body.

    Without a key a foreign Host header is refused, so that a web page elsewhere cannot reach the
    server by pointing its name at this machine (DNS rebinding); and only JSON is taken, which a
    page of another origin cannot send before the server agrees.

    Args:
        keys: any of them opens. most_bytes: of a body. note_refusal: hears of each request that is
            refused here, its path and why.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[bytes],
        most_bytes: int,
        note_refusal: Callable[[str, ApiError], None] = lambda path, refusal: None,
    ) -> None:
        self.app, self.keys, self.most_bytes = app, tuple(keys), most_bytes
        self.note_refusal = note_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on with its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        count = len(scope["headers"])
        refusal = self._find_refusal(scope["method"], scope["path"], headers, count)
        if refusal is not None:
            self.note_refusal(scope["path"], refusal)
            await refusal.to_response()(scope, receive, send_with_headers)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.most_bytes:
                    raise self._report_large_body()
            return message

        await self.app(scope, receive_counted, send_with_headers)

    def _find_refusal(
        self, method: str, path: str, headers: dict[bytes, bytes], count: int
    ) -> ApiError | None:
        if self.keys and path not in OPEN_PATHS:
            scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
            # Every key is compared, so that the time does not tell which one is near.
            fits = [hmac.compare_digest(credentials.strip(), key) for key in self.keys]
            if scheme.lower() != b"bearer" or not any(fits):
                return ApiError(
                    401, "A key is needed: Authorization: Bearer …", code="invalid_api_key"
                )
        if not self.keys and not is_local(_name_host(headers.get(b"host", b""))):
            return ApiError(421, "Not this host.", code="wrong_host")
        if count > MOST_HEADERS:
            return ApiError(431, f"More than {MOST_HEADERS} headers.", code="too_many_headers")
        if method == "POST":
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            if kind != b"application/json":
                return ApiError(
                    415, "Content-Type: application/json is expected.", code="wrong_content_type"
                )
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or int(length) > self.most_bytes:
                return self._report_large_body()
        return None

    def _report_large_body(self) -> ApiError:
        return ApiError(
            413, f"The body is larger than {self.most_bytes} bytes.", code="body_too_large"
        )


def _name_host(header: bytes) -> str:
    """The name in a Host header, without the port: ``[::1]:8643`` → ``[::1]``."""
    text = header.decode("latin-1")
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]
