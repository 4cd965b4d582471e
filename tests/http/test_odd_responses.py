"""Responses in forms that servers and proxies were seen to send; pauses and addresses in all forms."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from residency.config.endpoint import EndpointConfig
from residency.errors import ConfigError, EndpointError
from residency.http import endpoint_client
from residency.http.credentials import route_url
from residency.http.endpoint_client import EndpointClient, is_this_machine
from residency.http.endpoint_generator import EndpointGenerator
from residency.http.retry_after import read_retry_after
from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

GOOD = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}


def ask(
    response: httpx.Response, **settings: Any
) -> tuple[Generation, EndpointGenerator, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return response

    values = {"url": "http://server.test/v1", "model": "m", "retries": 1, "concurrency": 1}
    config = EndpointConfig(**{**values, **settings})
    transport = httpx.MockTransport(reply)
    with EndpointGenerator(config, transport=transport, sleep=lambda seconds: None) as endpoint:
        prompt = Prompt((Message("user", "q"),), key="q")
        return endpoint.generate([prompt], Sampling(max_new_tokens=9))[0], endpoint, requests


def said(content: Any = None, **message: Any) -> dict[str, Any]:
    return {"message": {"content": content, **message}, "finish_reason": "stop"}


EVENTS = b"".join(
    b"data: " + json.dumps({"choices": [piece]}).encode() + b"\n\n"
    for piece in (
        {"delta": {"role": "assistant", "content": None}},
        {"delta": {"content": "a"}},
        {"delta": {"content": "b"}, "finish_reason": "stop"},
    )
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (GOOD, "ok"),
        ({"choices": [{**said("second"), "index": 1}, {**said("first"), "index": 0}]}, "first"),
        ({"choices": [{"text": "older", "finish_reason": "stop"}]}, "older"),
        ({"choices": [said(function_call={"name": "f"})]}, '{"name": "f"}'),
        ({"choices": [said(reasoning_details=[{"text": "hm"}])]}, ""),
        ({**GOOD, "usage": [1, 2]}, "ok"),
        ({**GOOD, "usage": {"prompt_tokens": -5, "prompt_tokens_details": []}}, "ok"),
    ],
)
def test_an_answer_is_read_in_every_form(body: dict[str, Any], text: str) -> None:
    for response in (
        httpx.Response(200, json=body),
        httpx.Response(201, json=body),
        httpx.Response(200, text=json.dumps(body), headers={"content-type": "text/plain"}),
        httpx.Response(
            200,
            content=gzip.compress(json.dumps(body).encode()),
            headers={"content-encoding": "gzip"},
        ),
    ):
        answer, endpoint, _ = ask(response)
        assert (answer.text, answer.finish, answer.error) == (text, "stop", "")
        assert endpoint.calls[0].prompt_tokens is None


def test_events_that_nobody_asked_for_are_put_together() -> None:
    kind = {"content-type": "text/event-stream"}
    answer, _, _ = ask(httpx.Response(200, content=EVENTS + b"data: [DONE]\n\n", headers=kind))
    assert (answer.text, answer.finish) == ("ab", "stop")
    cut = EVENTS.replace(b'"finish_reason": "stop"', b'"finish_reason": null')
    answer, _, _ = ask(httpx.Response(200, content=cut, headers=kind))
    assert answer.finish == "error" and answer.text == ""


def test_events_end_at_their_own_line_ends_alone() -> None:
    kind = {"content-type": "text/event-stream"}
    text = "one\u2028two\x85three"
    event = json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]})
    for body in (
        "data: " + event.encode().decode("unicode_escape") + "\n\n",
        ": a comment\r\nevent: x\r\n" + event.replace(", ", ",\r\n").join(("data: ", "\r\n\r\n")),
    ):
        lines = body.replace(",\r\n", ",\r\ndata: ")
        answer, _, _ = ask(httpx.Response(200, content=lines.encode(), headers=kind))
        assert (answer.text, answer.error) == (text, "")


def test_a_compressed_body_is_unpacked_no_further_than_it_is_read() -> None:
    once = gzip.compress(b" " * (64 << 20))
    for body, encoding, what in (
        (once, "gzip", "longer than 16 MiB"),
        (gzip.compress(once), "gzip, gzip", "encoded as 'gzip, gzip'"),
        (once, "br", "encoded as 'br'"),
        (b"plain", "gzip", "no gzip"),
    ):
        stream = httpx.ByteStream(body)
        response = httpx.Response(200, stream=stream, headers={"content-encoding": encoding})
        tracemalloc.start()
        answer, _, _ = ask(response, retries=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert what in answer.error and peak < 40 << 20


def test_an_error_of_the_older_form_is_an_error() -> None:
    body = {"object": "error", "message": "no such model", "code": 404}
    answer, _, requests = ask(httpx.Response(200, json=body))
    assert answer.error == "no such model" and len(requests) == 1


def test_no_credit_stops_at_once_and_is_not_asked_again() -> None:
    error = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with pytest.raises(EndpointError, match="no credit"):
        ask(httpx.Response(429, json=error), retries=5)


class Body(httpx.SyncByteStream):
    """A body that never ends."""

    def __init__(self) -> None:
        self.parts = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.parts += 1
            yield b" " * 1000


def test_a_body_without_an_end_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_client, "LONGEST_ANSWER", 1 << 20)
    body = Body()
    answer, _, _ = ask(httpx.Response(200, stream=body), retries=0)
    assert "longer than 1 MiB" in answer.error and body.parts < 1100
    body = Body()
    answer, _, _ = ask(httpx.Response(200, stream=body), retries=0, timeout=1e-9)
    assert "no answer in time" in answer.error and body.parts == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-not-for-others")
    hosts: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(code, headers={"location": "http://elsewhere.test/v1"})

    config = EndpointConfig(url="http://server.test/v1", key_env="A_KEY", model="m")
    with (
        EndpointGenerator(config, transport=httpx.MockTransport(reply)) as endpoint,
        pytest.raises(EndpointError, match="elsewhere"),
    ):
        endpoint.generate([Prompt((Message("user", "q"),), key="q")], Sampling())
    assert set(hosts) == {"server.test"}


def write_date(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(moment, UTC))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": lambda now: write_date(now + 600)}, 600),
        ({"retry-after": lambda now: write_date(now - 600)}, 0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset": lambda now: f"{now + 600:.0f}"}, 600),
        ({"x-ratelimit-reset": lambda now: f"{1000 * (now + 600):.0f}"}, 600),
        ({"ratelimit-reset": "30"}, 30),
        (
            {"x-ratelimit-reset": lambda now: datetime.fromtimestamp(now + 600, UTC).isoformat()},
            600,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_pause_is_read_in_every_form(headers: dict[str, Any], seconds: float | None) -> None:
    # Moments are written when the test runs, which may be long after the file is read.
    said = {name: v(time.time()) if callable(v) else v for name, v in headers.items()}
    pause = read_retry_after(httpx.Response(429, headers=said))
    assert pause == (
        None if seconds is None else pytest.approx(seconds, abs=120 if seconds > 400 else 0)
    )


def test_limits_that_end_later_hold_up_no_other_trouble() -> None:
    assert read_retry_after(httpx.Response(500, headers={"x-ratelimit-reset": "60"})) is None


@pytest.mark.parametrize(
    "copied", ["", "/", "/chat/completions", "/chat/completions/", "/completions", "/models"]
)
def test_a_copied_route_is_no_part_of_the_address(copied: str) -> None:
    config = EndpointConfig(url=f"http://server.test/v1{copied}?api-version=1")
    wanted = "http://server.test/v1/chat/completions?api-version=1"
    assert route_url(config, "/chat/completions") == wanted


def test_a_missing_version_is_suspected_where_nothing_is_found() -> None:
    with pytest.raises(EndpointError, match=r"/v1"):
        ask(httpx.Response(404, json={"detail": "Not Found"}), url="http://server.test")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.0.0.7/v1", True),
        ("http://[::1]:8/v1", True),
        ("http://api.localhost/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example/v1", False),
    ],
)
def test_no_proxy_stands_between_us_and_this_machine(
    url: str, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:1")
    assert is_this_machine(url) is here
    client = EndpointClient(EndpointConfig(url=url), "/chat/completions")
    assert bool(client._http._mounts) is not here
    client.close()


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("ALL_PROXY", "bogus://user:hidden@x", "proxy"),
        ("SSL_CERT_FILE", "/no/such/file", "certificates"),
    ],
)
def test_a_broken_environment_is_a_clear_error(
    name: str, value: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=what) as caught:
        EndpointClient(EndpointConfig(url="http://server.test/v1"), "/chat/completions")
    assert "hidden" not in str(caught.value)
