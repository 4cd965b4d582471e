"""Whatever comes over the wire, the server answers in its own form, or closes, and goes on."""

from __future__ import annotations

import asyncio
import builtins
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from residency.http.listening import BoundedProtocol
from served import Served, serve_project
from small import save_model, save_project

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    at = tmp_path_factory.mktemp("fuzz")
    root = save_project(at / "project", save_model(at / "model"))
    with (
        pytest.MonkeyPatch.context() as patch,
        serve_project(root, patch, slots=4, max_tokens=4) as running,
    ):
        yield running


def check_alive(served: Served) -> None:
    assert served.chat(max_tokens=2).status_code == 200


def check_reply(reply: httpx.Response) -> None:
    """An answer, or an error in OpenAI's form that is the client's fault."""
    assert reply.status_code in (200, 400, 404, 413), reply.text
    if reply.status_code != 200:
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
FLAT = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(max_size=8), SCALARS)
JSON = FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(st.text(max_size=8), FLAT, max_size=3)
NAMES = [
    "model", "messages", "prompt", "input", "n", "seed", "stop", "temperature", "top_p", "top_k",
    "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs", "logit_bias", "stream",
    "stream_options", "response_format", "presence_penalty", "echo", "encoding_format", "tools",
]  # fmt: skip


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(PATHS),
    changes=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3),
)
def test_any_values(served: Served, path: str, changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
        "/v1/completions": {"prompt": "x"},
        "/v1/embeddings": {"input": "x"},
    }[path]
    body = json.dumps({"model": "base", **good, **changes})
    headers = {"Content-Type": "application/json"}
    check_reply(
        httpx.post(f"{served.url}{path}", content=body.encode(), headers=headers, timeout=60)
    )


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200), path=st.sampled_from(PATHS))
def test_any_bytes(served: Served, body: bytes, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    reply = httpx.post(f"{served.url}{path}", content=body, headers=headers, timeout=60)
    assert reply.status_code == 400
    check_reply(reply)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"model": "base", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "base", "seed": ' + b"9" * 5000 + b"}",
        b'{"model": "base", "temperature": NaN, "messages": [{"role":"user","content":"x"}]}',
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_hostile_json(served: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in PATHS:
        reply = httpx.post(f"{served.url}{path}", content=body, headers=headers, timeout=60)
        assert reply.status_code == 400
        check_reply(reply)
    check_alive(served)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "base/../base",
        "a\x00b",
        "m-",
        "%2e%2e%2f",
        "x" * 9000,
        "",
    ],
)
def test_names_of_clients_reach_no_file(
    served: Served, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_alive(served)
    opened: list[Any] = []
    plain_open, plain_stat = builtins.open, Path.stat

    def note_open(file: Any, *rest: Any, **more: Any) -> Any:
        opened.append(file)
        return plain_open(file, *rest, **more)

    def note_stat(self: Path, **more: Any) -> Any:
        opened.append(self)
        return plain_stat(self, **more)

    monkeypatch.setattr(builtins, "open", note_open)
    monkeypatch.setattr(Path, "stat", note_stat)
    reply = served.chat(model=name)
    monkeypatch.undo()
    assert reply.status_code == 404
    assert len(reply.text) < 500
    assert not [path for path in opened if name and name in str(path)]


def test_garbage_on_the_wire(served: Served) -> None:
    rng = random.Random(0)
    heads = [
        b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"POST " + b"x" * 70_000,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\nZZ\r\n",
    ]  # fmt: skip
    heads += [rng.randbytes(300) for _ in range(20)]
    for head in heads:
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.settimeout(20)
            try:
                client.sendall(head)
                client.shutdown(socket.SHUT_WR)
                reply = client.recv(200)
            except ConnectionError:
                continue  # closed while we were still sending
            assert reply == b"" or reply.startswith(b"HTTP/1.1 4")
    check_alive(served)


def test_slow_clients_hold_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a head: the connection ends by itself, and others are answered meanwhile."""
    check_alive(served)
    monkeypatch.setattr(BoundedProtocol, "header_seconds", 3.0)
    half = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    clients = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(40)]
    try:
        for client in clients:
            client.sendall(half)
        check_alive(served)
        for client in clients:
            client.settimeout(20)
            assert client.recv(10) == b""
    finally:
        for client in clients:
            client.close()


def test_many_connections_at_once(served: Served) -> None:
    """900 that say nothing stand beside 60 that ask; nobody who asks is lost."""

    async def ask_all(count: int) -> list[int]:
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            replies = await asyncio.gather(
                *(client.get(f"{served.url}/health") for _ in range(count))
            )
        return [reply.status_code for reply in replies]

    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(900)]
    try:
        assert set(asyncio.run(ask_all(60))) == {200}
        check_alive(served)
    finally:
        for client in silent:
            client.close()
