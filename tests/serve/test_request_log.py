"""The request log: every request once, no text unless switched on, and answers never wait for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from residency.errors import StoreError
from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.serve.feedback_routes import make_feedback_routes
from residency.serve.hooks import RequestRecord
from residency.serve.record_requests import DAY, RequestLog
from residency.store.store import Store

QUESTION = (Message("user", "what is my PIN"),)


def record(number: int, *, time: float = 1000.0, status: int = 200) -> RequestRecord:
    seen = ("payment card, email address", "", "output: personal data 1")
    decisions = (
        ModerationDecision("allow", by="input: personal data 1"),
        ModerationDecision("mask", *seen, text="released", seconds=0.001),
        ModerationDecision("mask", *seen, text="released more", seconds=0.002),
    )
    return RequestRecord(
        f"chatcmpl-{number}", time, "/v1/chat/completions", "final", "m-1", status, 0.1, 0.2, 0.5,
        12, 7, 0, ("stop", "stop"), "", True, decisions, QUESTION, ("it is 1234",),
    )  # fmt: skip


def test_every_request_is_there_once_after_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    log = RequestLog(store, keep_texts=False, keep_days=1)
    for number in range(2500):
        log.request_finished(record(number, time=number))
    log.close()
    served = store.served_requests()
    assert [request.id for request in served] == [f"chatcmpl-{n}" for n in range(2500)]
    assert log.lost == 0 and store.request_texts() == []
    (life,) = store.server_times()
    assert life.ended is not None
    kinds = [(event.side, event.kind, event.action) for event in served[0].moderation]
    assert kinds == [("output", "email address", "mask"), ("output", "payment card", "mask")]
    assert served[0].finish == "stop"
    store.close()


def test_no_text_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    log = RequestLog(store, keep_texts=False, keep_days=1)
    log.request_finished(record(1))
    log.close()
    store.close()
    for path in (tmp_path / ".residency").iterdir():
        held = path.read_bytes() if path.is_file() else b""
        assert b"PIN" not in held and b"1234" not in held


def test_texts_stay_for_their_days(tmp_path: Path) -> None:
    store = Store(tmp_path)
    now = 100 * DAY
    log = RequestLog(store, keep_texts=True, keep_days=7, clock=lambda: now)
    log.request_finished(record(1, time=now - 8 * DAY))
    log.request_finished(record(2, time=now - 6 * DAY))
    log.request_finished(record(3, time=now, status=500))
    log.close()
    assert [text.request for text in store.request_texts()] == ["chatcmpl-1", "chatcmpl-2"]
    RequestLog(store, keep_texts=True, keep_days=7, clock=lambda: now).close()
    (text,) = store.request_texts()
    assert (text.request, text.messages, text.answers) == ("chatcmpl-2", QUESTION, ("it is 1234",))
    assert len(store.served_requests()) == 3
    store.close()


def test_a_store_that_fails_costs_records_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    log = RequestLog(store, keep_texts=False, keep_days=1)

    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "add_requests", fail)
    log.request_finished(record(1))
    log.close()
    assert log.lost == 1
    store.close()


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    store = Store(tmp_path)
    log = RequestLog(store, keep_texts=True, keep_days=7)
    log.request_finished(record(1))
    log.close()
    app = FastAPI()
    app.include_router(make_feedback_routes(store))
    return TestClient(app)


def test_feedback_is_stored_for_a_request_that_was_served(
    client: TestClient, tmp_path: Path
) -> None:
    said = {"request_id": "chatcmpl-1", "thumb": "down", "answer": " It is hidden.\0\n"}
    answer = client.post("/v1/feedback", json=said)
    assert (answer.status_code, answer.json()["usable"]) == (200, True)
    (stored,) = Store(tmp_path).feedback()
    assert (stored.request, stored.thumb, stored.answer) == ("chatcmpl-1", "down", "It is hidden.")


def test_feedback_that_comes_with_the_answer_waits_for_the_log(tmp_path: Path) -> None:
    store = Store(tmp_path)
    log = RequestLog(store, keep_texts=True, keep_days=7)
    app = FastAPI()
    app.include_router(make_feedback_routes(store))
    client = TestClient(app)
    for number in range(3):
        log.request_finished(record(number))
        said = {"request_id": f"chatcmpl-{number}", "thumb": "up"}
        assert client.post("/v1/feedback", json=said).status_code == 200
    log.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"request_id": "chatcmpl-9", "thumb": "up"}, 404),
        ({"request_id": "../../etc/passwd", "thumb": "up"}, 404),
        ({"request_id": "chatcmpl-1"}, 422),
        ({"request_id": "chatcmpl-1", "thumb": "sideways"}, 422),
        ({"request_id": "chatcmpl-1", "thumb": "up", "more": 1}, 422),
        ({"request_id": "chatcmpl-1", "answer": "x" * 100_001}, 422),
        ({"request_id": 7, "thumb": "up"}, 422),
    ],
)
def test_other_feedback_is_refused(
    client: TestClient, tmp_path: Path, body: dict[str, object], status: int
) -> None:
    assert client.post("/v1/feedback", json=body).status_code == status
    assert Store(tmp_path).feedback() == []
