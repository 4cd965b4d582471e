"""A real server that misbehaves on its sockets: every item ends in time, with its reason."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from residency.config.endpoint import EndpointConfig
from residency.errors import EndpointError
from residency.http import endpoint_client, event_stream
from residency.http.endpoint_generator import EndpointGenerator
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

TIMEOUT = 1.5
SLACK = 10.0
"""Seconds beyond the time-out that a loaded machine may take."""
KEY = "k-0123456789abcdef"
GOOD = json.dumps(
    {"choices": [{"message": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}]}
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
WHOLE = HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(GOOD) + GOOD
THOUGHT = b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n'
Behaviour = Callable[[socket.socket], None]


def event(text: str, finish: str | None = None) -> bytes:
    body = {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def trickle(data: bytes, every: float = 0.1) -> Behaviour:
    """Byte by byte, and for ever the last one."""

    def send(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(every)
        while True:
            connection.sendall(data[-1:])
            time.sleep(every)

    return send


def at_once(data: bytes) -> Behaviour:
    return lambda connection: connection.sendall(data)


def for_ever(data: bytes, begin: bytes = b"") -> Behaviour:
    """The same bytes again and again, as fast as they are taken."""

    def send(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(data)

    return send


def silence(connection: socket.socket) -> None:
    """Nothing, until the client has gone."""
    connection.settimeout(20)
    connection.recv(1)


class Server:
    """One connection a request; the behaviour is chosen by the words ``item N`` in the request."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.behaviours, self.heard = behaviours, list[bytes]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request or not request.endswith(b"}"):
                part = connection.recv(65536)
                if not part:
                    return
                request += part
            self.heard.append(request)
            for words, behave in self.behaviours.items():
                if words.encode() in request:
                    behave(connection)
                    return
            connection.sendall(WHOLE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Behaviour]], Server]]:
    monkeypatch.setenv("RESIDENCY_TEST_KEY", KEY)
    servers = []

    def start(behaviours: dict[str, Behaviour]) -> Server:
        servers.append(Server(behaviours))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: Server, *words: str, **settings: object) -> list[tuple[str, str]]:
    """Text and error of each item."""
    options = {"timeout": TIMEOUT, "retries": 0, "key_env": "RESIDENCY_TEST_KEY", **settings}
    with EndpointGenerator(EndpointConfig(url=server.url, **options)) as generator:
        prompts = [Prompt((Message("user", word),), key=word) for word in words]
        answers = generator.generate(prompts, Sampling(max_new_tokens=8))
    return [(answer.text, answer.error) for answer in answers]


CASES: dict[str, tuple[Behaviour, str]] = {  # "": by its time or by its length, as the machine is
    "nothing": (silence, "no answer in time"),
    "status line a byte at a time": (trickle(b"HTTP/1.1 200 OK\r\nx-a: b"), "no answer in time"),
    "headers without end": (
        for_ever(b"x-filler: " + b"y" * 1000 + b"\r\n", b"HTTP/1.1 200 OK\r\n"),
        "RemoteProtocolError",
    ),
    "interim answers without end": (for_ever(b"HTTP/1.1 103 Early Hints\r\n\r\n"), ""),
    "body a byte at a time": (
        trickle(HEAD + b"content-length: 9999999\r\n\r\n" + b" " * 99, 0.01),
        "no answer in time",
    ),
    "body without length": (at_once(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD), "good"),
    "body without end": (for_ever(b" " * 65536, b"HTTP/1.0 200 OK\r\n\r\n"), ""),
    "length too long": (
        at_once(HEAD + b"content-length: 9999\r\n\r\n" + GOOD),
        "peer closed connection",
    ),
    "length too short": (
        at_once(HEAD + b"content-length: 9\r\nconnection: close\r\n\r\n" + GOOD),
        "not JSON",
    ),
    "length that is none": (at_once(HEAD + b"content-length: x\r\n\r\n" + GOOD), "RemoteProtocol"),
    "two lengths": (
        at_once(HEAD + b"content-length: 9\r\ncontent-length: 10\r\n\r\n" + GOOD),
        "RemoteProtocol",
    ),
    "chunks that are none": (
        at_once(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + GOOD),
        "RemoteProtocol",
    ),
    "chunks that stop": (
        at_once(HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabc"),
        "peer closed connection",
    ),
    "closed at once": (lambda connection: None, "RemoteProtocolError"),
    "no HTTP": (at_once(b"SSH-2.0-OpenSSH_9.6\r\n"), "RemoteProtocolError"),
    "a page": (at_once(b"HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>"), "not JSON"),
    "an interim answer before": (at_once(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE), "good"),
    "no content": (at_once(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"), "HTTP 204"),
    "reset content": (
        at_once(b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        "HTTP 205",
    ),
    "a bomb": (
        at_once(HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b" " * (64 << 20))),
        "",
    ),
    "no gzip": (at_once(HEAD + b"content-encoding: gzip\r\n\r\nplain"), "no gzip"),
    "deep": (at_once(HEAD + b"connection: close\r\n\r\n" + b"[" * 200_000), "not JSON"),
    "a huge header": (
        at_once(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n" + GOOD),
        "RemoteProtocolError",
    ),
    "events with comments alone": (for_ever(b": ping\n\n", EVENTS), ""),
}


@pytest.mark.parametrize("name", CASES)
def test_each_item_ends_in_time_with_its_reason_and_the_rest_is_answered(
    name: str, serve: Callable[[dict[str, Behaviour]], Server]
) -> None:
    behave, told = CASES[name]
    server = serve({"item 1": behave})
    began = time.monotonic()
    before, broken, after = ask(server, "item 0", "item 1", "item 2", concurrency=1)
    assert time.monotonic() - began < TIMEOUT + SLACK
    assert before == after == ("good", "")
    assert (broken[0] or broken[1]) if not told else told in "".join(broken), broken
    assert KEY not in broken[1]


def test_an_answer_that_comes_late_but_in_time_is_an_answer(
    serve: Callable[[dict[str, Behaviour]], Server],
) -> None:
    def slow_then_fast(connection: socket.socket) -> None:
        time.sleep(0.6)
        connection.sendall(WHOLE)

    server = serve({"item": slow_then_fast})
    assert ask(server, "item 1", "item 2", timeout=10.0) == [("good", "")] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_key_follows_to_another_host(
    status: int, serve: Callable[[dict[str, Behaviour]], Server]
) -> None:
    other = serve({})
    to = f"HTTP/1.1 {status} Moved\r\nlocation: {other.url}/chat/completions\r\n\r\n".encode()
    with pytest.raises(EndpointError, match="the address has moved"):
        ask(serve({"item": at_once(to)}), "item 1")
    assert other.heard == []


def read_stream(server: Server, timeout: float = TIMEOUT) -> tuple[str, str]:
    """The text that came, and the error."""
    config = EndpointConfig(url=server.url, timeout=timeout, retries=0)
    pieces: list[str] = []
    try:
        with EndpointGenerator(config) as generator:
            stream = generator.stream((Message("user", "item 1"),), Sampling(max_new_tokens=8))
            pieces.extend(stream)
    except EndpointError as error:
        return "".join(pieces), error.what
    return "".join(pieces), ""


def say_for_ever(every: float) -> Behaviour:
    def send(connection: socket.socket) -> None:
        connection.sendall(EVENTS)
        while True:
            connection.sendall(event("a"))
            time.sleep(every)

    return send


STREAMS: dict[str, tuple[Behaviour, str]] = {
    "silence": (silence, "no answer in time"),
    "headers a byte at a time": (trickle(b"HTTP/1.1 200 OK\r\nx-a: b"), "no answer in time"),
    "comments without end": (for_ever(b": ping\n\n" * 100, EVENTS), ""),
    "comments now and then": (trickle(EVENTS + b": ping\n\n" * 3, 0.01), "no answer in time"),
    "a line without end": (for_ever(b"data: " + b"x" * 65536, EVENTS), ""),
    "empty pieces without end": (for_ever(event(""), EVENTS), ""),
    "text without end": (say_for_ever(0.05), "no answer in time"),
    "a deep piece": (at_once(EVENTS + b"data: " + b"[" * 200_000 + b"\n\n"), "cannot be read"),
    "a cut piece": (at_once(EVENTS + event("a") + b'data: {"choi'), "ended before the answer"),
    "no content": (at_once(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"), "HTTP 204"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_ends_in_time_with_its_reason(
    name: str,
    serve: Callable[[dict[str, Behaviour]], Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream, "STREAM_TIMES", 2)
    monkeypatch.setattr(event_stream, "LONGEST_STREAM", 8 << 20)
    behave, told = STREAMS[name]
    began = time.monotonic()
    _, error = read_stream(serve({"item": behave}))
    assert time.monotonic() - began < 2 * TIMEOUT + SLACK
    assert error
    assert told in error


def test_a_stream_may_take_longer_than_one_answer_while_text_comes(
    serve: Callable[[dict[str, Behaviour]], Server],
) -> None:
    def slowly(connection: socket.socket) -> None:
        connection.sendall(EVENTS)
        for letter in "abcd":
            time.sleep(1.0)
            connection.sendall(event(letter) if letter != "c" else THOUGHT)
        connection.sendall(event("", "stop") + b"data: [DONE]\n\n")

    assert read_stream(serve({"item": slowly}), timeout=3.0) == ("abd", "")


def test_limits_are_those_that_are_documented() -> None:
    assert (endpoint_client.LONGEST_ANSWER, event_stream.LONGEST_STREAM) == (16 << 20, 64 << 20)
    assert event_stream.STREAM_TIMES == 10
