"""The server holds so much and no more: queue, time, body, keys, clients that leave, an orderly end."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from residency.commands.project import Project
from residency.errors import ConfigError, UserError
from residency.http.listening import open_socket
from residency.nouns.moderation_decision import ModerationDecision
from residency.serve.answer_text import AnswerText
from residency.serve.open_server import read_server_keys
from residency.serve.request_guard import read_keys
from residency.serve.run_server import make_server
from served import Served, serve_project
from small import save_model, save_project

KEY = "a-key-of-enough-letters"
LONG = 400
"""Tokens of an answer that takes its time."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("limits")
    return save_project(at / "project", save_model(at / "model"))


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch, serve_project(root, patch, slots=2) as running:
        yield running


def forbid_ends(served: Served) -> dict[str, Any]:
    """A bias by which an answer lasts as long as it may."""
    ends = served.opened.server.service.live.engine.chat.end_ids
    return {"logit_bias": {str(token): -100 for token in ends}}


def wait_until_idle(served: Served, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    scheduler = served.opened.server.service.scheduler
    while (scheduler.open_runs or scheduler.live.batch.active_count) and time.monotonic() < end:
        time.sleep(0.02)
    assert scheduler.open_runs == 0
    assert scheduler.live.batch.active_count == 0


def test_a_full_queue_answers_429_and_loses_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_project(root, monkeypatch, slots=1, queue=2) as served:
        more = forbid_ends(served)

        def ask(_: int) -> httpx.Response:
            return served.chat(max_tokens=LONG, **more)

        with ThreadPoolExecutor(8) as clients:
            replies = list(clients.map(ask, range(8)))
        codes = sorted(reply.status_code for reply in replies)
        assert codes.count(200) >= 3
        assert set(codes) == {200, 429}
        for reply in replies:
            if reply.status_code == 429:
                assert int(reply.headers["retry-after"]) >= 1
                assert reply.json()["error"]["code"] == "queue_full"
            else:
                assert reply.json()["usage"]["completion_tokens"] == LONG
        assert len(served.memory.wait_for(8)) == 8
        assert served.chat(max_tokens=2).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_project(root, monkeypatch, slots=1, timeout=0.3) as served:
        more = forbid_ends(served)
        reply = served.chat(max_tokens=LONG, **more)
        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
        stream = served.chat(max_tokens=LONG, stream=True, **more)
        assert '"code":"timeout"' in stream.text
        assert "[DONE]" not in stream.text
        wait_until_idle(served)
        assert [r.status for r in served.memory.wait_for(2)] == [504, 504]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot(
    served: Served, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(served.memory.records)
    scheduler = served.opened.server.service.scheduler
    wait_until_idle(served)
    step, steps = scheduler.live.batch.step, itertools.count()

    def step_until_left() -> Any:
        """Two steps, and then none until the server knows that the client is gone."""
        waits, end = next(steps) > 1, time.monotonic() + 20
        while waits and scheduler.open_runs and time.monotonic() < end:
            time.sleep(0.005)
        return step()

    monkeypatch.setattr(scheduler.live.batch, "step", step_until_left)
    body = {
        "model": "base", "messages": [{"role": "user", "content": "x"}], "max_tokens": LONG,
        "stream": stream, **forbid_ends(served),
    }  # fmt: skip
    raw = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: "
            + str(len(raw)).encode() + b"\r\n\r\n" + raw
        )  # fmt: skip
        end = time.monotonic() + 20
        while not scheduler.open_runs and time.monotonic() < end:
            time.sleep(0.005)
    wait_until_idle(served)
    record = served.memory.wait_for(before + 1)[-1]
    assert record.status == 499
    assert record.answer_tokens < LONG


def test_keys(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "another-key-of-letters"
    with serve_project(root, monkeypatch, key=f"{KEY}, {other}") as served:
        ask = f"{served.url}/v1/models"
        assert httpx.get(f"{served.url}/health").status_code == 200
        for wrong in ({}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Basic {KEY}"}):
            reply = httpx.get(ask, headers=wrong)
            assert reply.status_code == 401
            assert KEY not in reply.text
            assert httpx.get(f"{served.url}/metrics", headers=wrong).status_code == 401
        for key in (KEY, other):
            assert httpx.get(ask, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_nobody_listens_beyond_this_machine_without_a_key(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESIDENCY_SERVE_KEY", raising=False)
    project = Project.open(root)
    with pytest.raises(ConfigError, match="no key"):
        read_server_keys(project, "0.0.0.0")
    assert read_server_keys(project, "127.0.0.1") == ()
    with pytest.raises(ConfigError, match="fewer") as error:
        read_keys("short,tooshort", "127.0.0.1", "RESIDENCY_SERVE_KEY")
    assert "tooshort" not in str(error.value)


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    with pytest.raises(UserError, match="cannot listen"):
        open_socket("127.0.0.1", served.port)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Length": "99999999"}, 413),
    ],
)
def test_who_asks_and_how_much(served: Served, headers: dict[str, str], status: int) -> None:
    lines = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "2"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **headers}.items())
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(20)
        client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n{{}}".encode())
        assert client.recv(100).split()[1] == str(status).encode()


def test_a_body_without_a_length_is_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_project(root, monkeypatch, max_body=2000) as served:

        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b" " * 100

        reply = httpx.post(
            f"{served.url}/v1/chat/completions", content=endless(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert reply.status_code == 413


PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 99}, "n"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"99999": 1}}, "logit_bias"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{}]}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"best_of": 3}, "best_of"),
        ({"frobnicate": 1}, "frobnicate"),
        ({"seed": 1.5}, "seed"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "x " * 5000}]}, "messages"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": PICTURE}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"stop": 5}, "stop"),
        ({"stop": [5]}, "stop.0"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    served: Served, more: dict[str, Any], param: str
) -> None:
    reply = served.post(
        "/v1/chat/completions",
        {"model": "base", "messages": [{"role": "user", "content": "x"}], **more},
    )
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


def test_no_more_answers_than_there_is_room_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_project(root, monkeypatch, slots=1, queue=1, max_choices=8) as served:
        assert served.chat(max_tokens=2, n=2).status_code == 200
        error = served.chat(max_tokens=2, n=3).json()["error"]
        assert (error["param"], error["message"]) == ("n", "n: at most 2 here.")


def test_parameters_that_ask_for_nothing_are_taken(served: Served) -> None:
    neutral = {
        "tools": [], "store": False, "user": "me", "metadata": {"a": "b"}, "best_of": 1,
        "modalities": ["text"], "stream_options": None, "logit_bias": None, "stop": None,
        "frequency_penalty": 0, "service_tier": "auto", "response_format": {"type": "text"},
    }  # fmt: skip
    assert served.chat(max_tokens=2, **neutral).status_code == 200


def test_null_asks_for_nothing_whatever_it_stands_for(served: Served) -> None:
    from residency.serve.read_request import NOT_HONOURED, ChatRequest

    optional = {n for n, field in ChatRequest.model_fields.items() if not field.is_required()}
    nothing = dict.fromkeys([*optional, *NOT_HONOURED, "user"])
    reply = served.chat(**{**nothing, "max_tokens": 2})
    assert reply.status_code == 200 and len(reply.json()["choices"]) == 1


def test_an_answer_can_be_sent_back_as_it_came(served: Served) -> None:
    said = served.chat(max_tokens=2).json()["choices"][0]["message"]
    question = {"role": "user", "content": "x", "name": "Ann"}

    def ask(*messages: dict[str, Any]) -> Any:
        body = {"model": "base", "max_tokens": 2, "messages": [question, *messages, question]}
        return served.post("/v1/chat/completions", body).json()

    plain = ask({"role": "assistant", "content": said["content"]})
    as_the_client_writes_it = {**said, "tool_calls": None, "annotations": [], "audio": None}
    for message in (said, as_the_client_writes_it):
        assert ask(message)["choices"] == plain["choices"]
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    assert ask(refused)["choices"] == ask({"role": "assistant", "content": "No."})["choices"]
    called = {**said, "tool_calls": [{"id": "1"}]}
    assert ask(called)["error"]["param"] == "tool_calls"


def test_an_orderly_end_finishes_what_is_in_hand(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.serve.open_server import open_server

    monkeypatch.delenv("RESIDENCY_SERVE_KEY", raising=False)
    project = Project.open(root, overrides={"serve.slots": 2, "serve.log_requests": False})
    with open_socket("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        opened = open_server(project)
        server = make_server(opened.app, project.config.serve, on_drain=opened.start_draining)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        ends = opened.server.service.live.engine.chat.end_ids
        body = {
            "model": "base", "messages": [{"role": "user", "content": "x"}], "max_tokens": LONG,
            "logit_bias": {str(token): -100 for token in ends},
        }  # fmt: skip
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        with ThreadPoolExecutor(4) as clients:
            replies = [clients.submit(httpx.post, url, json=body, timeout=60) for _ in range(4)]
            while opened.server.service.scheduler.open_runs < 4:
                time.sleep(0.005)
            server.handle_exit(15, None)
            codes = [reply.result().status_code for reply in replies]
        thread.join(timeout=30)
        assert not thread.is_alive()
        assert codes == [200] * 4
        with pytest.raises(httpx.ConnectError):
            httpx.post(url, json=body)
        opened.close()
        project.store.close()


def test_no_prompt_in_logs(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        served.chat("a very private sentence", max_tokens=2)
        served.chat("a very private sentence", max_tokens=2, frobnicate="a very private value")
        served.post("/v1/a very private path", {})
    out = capfd.readouterr()
    said = [r.getMessage() for r in caplog.records if not r.name.startswith("httpx")]
    assert "private" not in "".join([*said, out.out, out.err])


# --- moderation and the request log, as they join ------------------------------------------------


class Shouts:
    """Masks every a; refuses a text with ! in it; ``stride`` characters at a time."""

    stride = 4
    may_change = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []

    def moderate_output(self, text_so_far: str, final: bool) -> ModerationDecision:
        self.seen.append((text_so_far, final))
        if "!" in text_so_far:
            return ModerationDecision("refuse", "shouting", "no shouting", "test")
        judged = text_so_far if final else text_so_far[:-2]
        return ModerationDecision("mask", "letter a", "", "test", judged.replace("a", "*"))


async def feed(text: str, moderator: Any) -> tuple[list[str], AnswerText]:
    answer = AnswerText(lambda ids: text[: len(ids)], ("##",), lambda ids: False, [moderator])
    pieces = []
    for count in range(1, len(text) + 1):
        finish = "stop" if count == len(text) else None
        pieces.append(await answer.release(list(range(count)), finish, text if finish else ""))
        if answer.refused:
            break
    return pieces, answer


def test_streamed_text_leaves_only_after_it_is_judged() -> None:
    import asyncio

    moderator = Shouts()
    pieces, answer = asyncio.run(feed("a plan that was made", moderator))
    assert "".join(pieces) == "* pl*n th*t w*s m*de"
    assert all(later[0].startswith(earlier[0]) for earlier, later in zip(
        moderator.seen, moderator.seen[1:], strict=False))  # fmt: skip
    assert [d.action for d in answer.decisions] == ["mask"]
    pieces, answer = asyncio.run(feed("a plan and then a shout!! and more of it", Shouts()))
    assert answer.refused
    assert "!" not in "".join(pieces)
    assert "shout" not in "".join(pieces)[:14]


def test_a_moderator_that_fails_lets_nothing_through(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        stride, may_change = 1, True

        def moderate_output(self, text_so_far: str, final: bool) -> ModerationDecision:
            raise RuntimeError("a very private sentence")

        def moderate_input(self, messages: Any) -> ModerationDecision:
            raise RuntimeError("a very private sentence")

    with serve_project(root, monkeypatch, outputs=[Broken()]) as served:
        choice = served.chat(max_tokens=8).json()["choices"][0]
        assert choice["finish_reason"] == "content_filter"
        assert choice["message"]["content"] == ""
        [record] = served.memory.wait_for(1)
        assert [(d.action, d.kind) for d in record.decisions] == [("refuse", "failed")]
        assert served.chat(max_tokens=8, logprobs=True).json()["error"]["param"] == "logprobs"
    with serve_project(root, monkeypatch, inputs=[Broken()]) as served:
        for path, body in (
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
            ("/v1/completions", {"prompt": "x"}),
            ("/v1/embeddings", {"input": "x", "model": "embedder"}),
        ):
            reply = served.post(path, {"model": "base", **body})
            assert reply.status_code == 400
            assert reply.json()["error"]["code"] == "content_filter"


def test_a_masked_prompt_is_what_the_model_is_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.nouns.example import Message

    class Mask:
        def moderate_input(self, messages: Any) -> ModerationDecision:
            masked = tuple(Message(m.role, m.content.replace("Ana", "*")) for m in messages)
            return ModerationDecision("mask", "name", "", "test", messages=masked)

    with serve_project(root, monkeypatch, inputs=[Mask()]) as served:
        masked = served.chat("call Ana please", max_tokens=9).json()
    with serve_project(root, monkeypatch) as served:
        plain = served.chat("call * please", max_tokens=9).json()
    assert masked["choices"] == plain["choices"]
    assert masked["usage"] == plain["usage"]


def test_requests_that_are_refused_unread_are_counted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_project(root, monkeypatch, key=KEY, max_body=2000) as served:
        key = {"authorization": f"Bearer {KEY}"}
        at = f"{served.url}/v1/chat/completions"
        json_type = {"content-type": "application/json"}
        many = {f"x-{number}": "y" for number in range(120)}
        statuses = [
            httpx.post(at, headers=key | json_type, content=b"{").status_code,
            httpx.post(at, headers=key | json_type, content=b" " * 3000).status_code,
            httpx.post(at, headers=key | json_type | many, content=b"{}").status_code,
            httpx.post(at, headers=key, content=b"{}").status_code,
            httpx.post(
                f"{served.url}/v1/nowhere", headers=key | json_type, content=b"{}"
            ).status_code,
            httpx.post(at, headers=json_type | many, content=b"{}").status_code,
        ]
        assert statuses == [400, 413, 431, 415, 404, 401]
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.sendall(b"no HTTP at all\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        known = sorted((r.status, r.endpoint) for r in served.memory.wait_for(6))
        path = "/v1/chat/completions"
        assert known == [(400, ""), (400, path), (404, ""), (413, path), (415, path), (431, path)]
        figures = httpx.get(f"{served.url}/metrics", headers=key).text
        for status, count in {400: 2, 401: 1, 404: 1, 413: 1, 415: 1, 431: 1}.items():
            lines = [
                x for x in figures.splitlines() if "_requests_total{" in x and f'"{status}"' in x
            ]
            assert sum(float(line.split()[-1]) for line in lines) == count, status


def test_requests_beyond_the_connections_are_answered_503_and_counted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_project(root, monkeypatch, connections=3) as served:
        held = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(3)]
        refused = httpx.get(f"{served.url}/v1/models")
        assert refused.status_code == 503
        for connection in held:
            connection.close()
        deadline = time.monotonic() + 10
        while (answer := httpx.get(f"{served.url}/metrics")).status_code == 503:
            assert time.monotonic() < deadline
        counts = [
            float(line.split()[-1])
            for line in answer.text.splitlines()
            if "_requests_total{" in line and '"503"' in line
        ]
        assert sum(counts) >= 1
        assert served.memory.records == []


def test_a_list_that_is_wrong_is_judged_as_a_list() -> None:
    """Not: *should be a valid string*, which it might have been too."""
    from residency.serve.api_errors import ApiError
    from residency.serve.read_request import CompletionRequest, EmbeddingRequest, read_request

    for kind, body, words in (
        (EmbeddingRequest, {"model": "e", "input": []}, "input: List should have at least 1"),
        (EmbeddingRequest, {"model": "e", "input": ["a"] * 999}, "input: List should have at most"),
        (EmbeddingRequest, {"model": "e", "input": 5}, "input: Input should be a valid string"),
        (CompletionRequest, {"model": "e", "prompt": []}, "prompt: List should have at least 1"),
    ):
        with pytest.raises(ApiError) as told:
            read_request(kind, json.dumps(body).encode())
        assert told.value.to_dict()["error"]["message"].startswith(words)
