"""Requests to one OpenAI-compatible server: sent again while it is in trouble, secrets hidden.

Every room that asks a server (answers, judge, teacher, embeddings) asks through this client. It
tells apart what the next request may do better (``TryAgainError``), what this request will never
do (``RefusedError``) and what no request can mend (``EndpointError``).
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from httpx_sse import EventSource, SSEError

from residency.config.endpoint import EndpointConfig
from residency.errors import ConfigError, EndpointError
from residency.http.chat_completions import join_events
from residency.http.compressed_bodies import ACCEPTED, iterate_plain_bytes
from residency.http.credentials import read_key_header, route_url
from residency.http.deadline import answer_within, check_time, limit_answers
from residency.http.retry_after import read_retry_after
from residency.secrets import hide_secrets, mask_address, mask_addresses

_RETRIED = frozenset({408, 409, 425, 429})
_FATAL = frozenset({301, 302, 303, 307, 308, 401, 402, 405})
"""Wrong key or address, or no credit: no other request would fare better."""
_EMPTY = frozenset({204, 205})
_NO_CREDIT = re.compile(r"insufficient_quota|billing_(?:hard_)?limit|insufficient_balance")
"""What some servers say with a 429 that no waiting mends."""
LONGEST_ANSWER, LONGEST_VECTORS, LONGEST_STREAM = 16 << 20, 256 << 20, 64 << 20
"""Bytes of the largest response that is read: an answer, vectors, an answer in pieces."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_PAY = "the account has no credit left: answers that came are kept; pay, then run the same command"
_CHECK = "check the address, the model's name and the key"


class TryAgainError(Exception):
    """The server may do better next time; ``pause`` is what it demands, in seconds."""

    def __init__(self, what: str, pause: float | None = None, *, reached: bool = True) -> None:
        super().__init__(what)
        self.what, self.pause, self.reached = what, pause, reached


class RefusedError(Exception):
    """This request will never succeed; others may. ``code`` is the server's status."""

    def __init__(self, what: str, code: int = 0) -> None:
        super().__init__(what)
        self.what, self.code = what, code


class EndpointClient:
    """One route of one server.

    Args:
        route: e.g. ``/chat/completions``.
        transport: how httpx reaches the server (tests put a fake one here).
        sleep: waits between attempts.

    Raises:
        ConfigError: no URL, or the key's environment variable is not set.
    """

    def __init__(
        self,
        config: EndpointConfig,
        route: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.url = route_url(config, route)
        headers = {"accept-encoding": ACCEPTED, **read_key_header(config)}
        self.sleep = sleep or time.sleep
        self._lacks_version = urlsplit(self.url).path == route
        self._resume_at = 0.0
        self._lock = threading.Lock()
        self.timeout = config.timeout
        self._longest = LONGEST_VECTORS if route == "/embeddings" else LONGEST_ANSWER
        try:
            self._http = httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(config.timeout),
                transport=transport,
                limits=httpx.Limits(max_connections=config.concurrency),
                trust_env=not is_this_machine(self.url),
            )
        except OSError as error:
            raise ConfigError(
                f"the certificates of the environment cannot be read ({error})",
                next_step="correct or unset SSL_CERT_FILE and SSL_CERT_DIR",
            ) from None
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise ConfigError(
                f"the proxy in the environment cannot be used ({mask_addresses(str(error))})",
                next_step="correct or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or set NO_PROXY",
            ) from None
        limit_answers(self._http)

    @property
    def shown_url(self) -> str:
        """The address without its secrets."""
        return mask_address(self.url)[0]

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()

    def wait_turn(self) -> None:
        """Wait as long as the server has told any of the requests to wait."""
        with self._lock:
            pause = self._resume_at - time.monotonic()
        if pause > 0:
            self.sleep(pause)

    def hold_all(self, seconds: float) -> None:
        """Let no request go out for so long."""
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + min(seconds, _LONGEST_PAUSE))

    def post(self, body: Mapping[str, Any]) -> Any:
        """The JSON of one response; one that comes as events is put together.

        Raises:
            TryAgainError, RefusedError, EndpointError: as the module says.
        """
        try:
            response = self._receive(body)
        except httpx.HTTPError as error:
            lost = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            what = hide_secrets(describe_network_error(error))
            raise TryAgainError(what, reached=not lost) from None
        self.raise_for_status(response)
        try:
            if "event-stream" in response.headers.get("content-type", ""):
                # Read by the rules of events: a text may hold U+2028, which ends no line there.
                events = EventSource(response).iter_sse()
                return clean_json(join_events([event.data for event in events]))
            return clean_json(response.json())
        except (ValueError, RecursionError, SSEError):
            text = hide_secrets(response.text[:4000])[:120]
            raise TryAgainError(f"the answer is not JSON: {text!r}") from None

    def _receive(self, body: Mapping[str, Any]) -> httpx.Response:
        """A whole response: within the time of one answer, and no longer than any answer is."""
        with answer_within(self.timeout), self.open(body, self._longest) as response:
            response.read()
            return response

    @contextmanager
    def open(self, body: Mapping[str, Any], longest: int) -> Iterator[httpx.Response]:
        """A response that is read as it comes, unpacked, and at most ``longest`` bytes of it."""
        wanted = {"accept": "text/event-stream"} if body.get("stream") else {}
        with self._http.stream(
            "POST",
            self.url,
            content=encode_body(body),
            headers={"content-type": "application/json", **wanted},
        ) as response:
            headers = [(k, v) for k, v in response.headers.items() if k != "content-encoding"]
            reason = response.extensions.get("reason_phrase", b"")
            yield httpx.Response(
                response.status_code,
                headers=headers,
                stream=_LimitedBody(response, longest),
                request=response.request,
                extensions={"reason_phrase": reason} if reason else {},
            )

    def raise_for_status(self, response: httpx.Response) -> None:
        """Nothing where the response is good; otherwise the error that says who may try again."""
        code = response.status_code
        if code in _EMPTY:
            raise TryAgainError(f"HTTP {code} {response.reason_phrase}: there is no answer in it")
        if 200 <= code < 300:
            return
        what = hide_secrets(describe_refusal(response))
        if code in _FATAL or (code == 429 and _NO_CREDIT.search(response.text[:2000])):
            raise self.make_error(what, _CHECK if code != 429 else _PAY)
        if code in _RETRIED or code >= 500:
            pause = read_retry_after(response)
            if pause is not None:
                self.hold_all(pause)
            raise TryAgainError(what, pause)
        raise RefusedError(what, code)

    def make_error(self, what: str, next_step: str = _CHECK) -> EndpointError:
        """An error that stops everything, with the address and no secret."""
        if self._lacks_version and "HTTP 404" in what:
            next_step = "the address may lack its /v1: url = http://HOST/v1, as a rule"
        return EndpointError(hide_secrets(what), where=self.shown_url, next_step=next_step)


class _LimitedBody(httpx.SyncByteStream):
    """A body that ends with an error where it is longer than any answer."""

    def __init__(self, response: httpx.Response, longest: int) -> None:
        self._response, self._longest = response, longest

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in iterate_plain_bytes(self._response, self._longest):
            size += len(part)
            if size > self._longest:
                raise TryAgainError(f"the answer is longer than {self._longest >> 20} MiB")
            check_time()
            yield part


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The body as JSON in UTF-8; half a surrogate pair, which UTF-8 cannot hold, becomes �."""
    return mend_surrogates(json.dumps(body, ensure_ascii=False, allow_nan=False)).encode()


def mend_surrogates(text: str) -> str:
    """A text that UTF-8 can hold: surrogate pairs joined, half ones replaced by �."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean_json(value: Any) -> Any:
    """A JSON value whose strings can be stored: half surrogate pairs become �."""
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    return value


def choose_pause(attempt: int, asked_for: float | None) -> float:
    """Doubling pauses with jitter, so that many clients do not come back at once."""
    doubling = _FIRST_PAUSE * float(2**attempt) * (0.75 + random.random() / 2)
    return min(_LONGEST_PAUSE, max(doubling, asked_for or 0.0))


def describe_refusal(response: httpx.Response) -> str:
    """Status and the server's words, in one line."""
    if target := response.headers.get("location"):
        return f"HTTP {response.status_code}: the address has moved to {mask_addresses(target)}"
    line = hide_secrets(" ".join(read_error_text(response).split()))[:200]
    return f"HTTP {response.status_code} {response.reason_phrase}: {line}".rstrip(": ")


def read_error_text(response: httpx.Response) -> str:
    """What a server says about its refusal: the message of its JSON, or its text."""
    try:
        raw = clean_json(response.json())
        inner = raw.get("error", raw)
        return str(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError, RecursionError):
        return response.text


def describe_network_error(error: httpx.HTTPError) -> str:
    """What went wrong on the way, in words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def is_this_machine(url: str) -> bool:
    """Whether an address leads to this machine, which no proxy reaches."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
