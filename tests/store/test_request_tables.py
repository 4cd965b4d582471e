"""What a server remembers: it comes back equal, it needs no writer lock, and texts are gone in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.nouns.served_request import (
    Feedback,
    ModerationEvent,
    RequestText,
    ServedRequest,
    ServerTime,
)
from residency.nouns.traffic_row import TrafficRow
from residency.store.store import Store

QUESTION = (Message("user", "my secret question"),)


def request(number: int, *, time: float = 100.0) -> ServedRequest:
    return ServedRequest(
        f"chatcmpl-{number}", time, "/v1/chat/completions", "final", "m-1", 200, 0.1, 0.2, 0.5,
        12, 7, 3, "stop", "", True,
        (ModerationEvent("output", "payment card", "mask", "personal data 1", 0.001),),
    )  # fmt: skip


def text_of(number: int, *, time: float = 100.0) -> RequestText:
    return RequestText(f"chatcmpl-{number}", time, "final", QUESTION, ("answer ü",))


def traffic_row(expires: float | None = None) -> TrafficRow:
    example = Example(QUESTION, why="traffic")
    answer = Response("traffic:gpt", example.id, "wrote")
    return TrafficRow(example, answer, "log.jsonl:3", 5.0, "down", "better", "why", ("overlong",), 0.5, 0.2, expires)  # fmt: skip


def test_requests_come_back_equal_and_twice_is_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, later = request(1), request(2, time=200.0)
    for _ in range(2):
        store.add_requests([first, later], [text_of(1)])
    assert store.served_requests() == [first, later]
    assert store.served_requests(since=150.0) == [later]
    assert store.request_texts() == [text_of(1)]
    assert store.has_request("chatcmpl-1") and not store.has_request("chatcmpl-9")
    assert store.has_request_text("chatcmpl-1") and not store.has_request_text("chatcmpl-2")
    store.close()


def test_requests_are_remembered_while_a_run_holds_the_writer_lock(tmp_path: Path) -> None:
    running, server = Store(tmp_path), Store(tmp_path)
    with running.writer("run"):
        server.add_requests([request(1)])
        server.add_feedback(Feedback("chatcmpl-1", 3.0, "down", "better", "why"))
        server.mark_server(ServerTime("s", 1.0, 2.0))
    assert running.feedback() == [Feedback("chatcmpl-1", 3.0, "down", "better", "why")]
    running.close()
    server.close()


def test_texts_are_gone_after_their_days_and_figures_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_requests([request(1), request(2, time=200.0)], [text_of(1), text_of(2, time=200.0)])
    store.add_feedback(Feedback("chatcmpl-1", 100.0, "down", "better words", "a reason"))
    with store.writer("ingest"):
        store.add_traffic([traffic_row(expires=150.0)])
    assert store.forget_texts(before=150.0, now=160.0) == 3
    assert store.request_texts() == [text_of(2, time=200.0)]
    assert store.feedback() == [Feedback("chatcmpl-1", 100.0, "down")]
    assert store.traffic() == []
    assert len(store.served_requests()) == 2
    assert store.forget_texts(before=150.0, now=160.0) == 0
    store.forget_texts(before=300.0, now=300.0)
    store.close()
    held = b"".join(path.read_bytes() for path in (tmp_path / ".residency").glob("store.db"))
    assert b"my secret question" not in held and b"better words" not in held


def test_a_server_is_seen_until_it_ends(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.mark_server(ServerTime("a", 1.0, 1.0))
    store.mark_server(ServerTime("a", 1.0, 30.0))
    assert store.server_times() == [ServerTime("a", 1.0, 30.0)]
    store.mark_server(ServerTime("a", 1.0, 40.0, 41.0))
    assert [life.last for life in store.server_times()] == [41.0]
    store.close()


def test_traffic_comes_back_equal_and_the_later_reading_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    row = traffic_row()
    with store.writer("ingest"):
        store.add_traffic([row])
        store.add_traffic([row])
    assert store.traffic() == [row]
    with pytest.raises(Exception, match="writer lock"):
        store.add_traffic([row])
    store.close()
