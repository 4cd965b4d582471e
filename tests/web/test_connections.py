"""A visitor who sends nothing, or half a request, holds no connection for long."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from residency.http.listening import BoundedProtocol
from residency.web import server
from server_thread import run_in_thread


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(BoundedProtocol, "header_seconds", 0.3)
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.8)
        return "done"

    @app.get("/fast")
    async def fast() -> str:
        return "done"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    running = uvicorn.Server(server.make_settings(app, host="127.0.0.1", port=number))
    with run_in_thread(running):
        yield number


def read_all(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    parts = []
    while part := connection.recv(4096):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_half_open_connection_is_closed(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""  # returns only because the server closed it


def test_a_slow_answer_is_not_cut(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_all(connection).endswith(b'"done"')


def read_answer(connection: socket.socket) -> bytes:
    """One answer of a connection that stays open; what there is of it where it does not."""
    connection.settimeout(30)
    answer = b""
    while not answer.endswith(b'"done"') and (part := connection.recv(4096)):
        answer += part
    return answer


ASK = b"GET /fast HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_connection_in_use_is_kept(port: int) -> None:
    """One connection, many requests, over several times the seconds that a head may take."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        end = time.monotonic() + 4 * BoundedProtocol.header_seconds
        while time.monotonic() < end:
            connection.sendall(ASK)
            assert read_answer(connection).endswith(b'"done"')
            time.sleep(0.02)


def test_a_second_request_is_not_sent_for_ever(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(ASK)
        assert read_answer(connection).endswith(b'"done"')
        began = time.monotonic()
        connection.sendall(ASK[:30])
        assert read_all(connection) == b""
        assert time.monotonic() - began < 3  # it need not wait for the end of a rest
