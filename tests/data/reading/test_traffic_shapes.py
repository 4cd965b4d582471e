"""Logs of production: each public shape gives the same conversation, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.data.reading.clean_text import RowError
from residency.data.reading.traffic_logs import read_traffic_logs
from residency.data.reading.traffic_shapes import read_conversation, read_thumb, read_time
from residency.errors import DataError

Q, A = "My kettle leaks.", 'problem: leak\nurgency: "low"'
ASKED = [{"role": "system", "content": "Name it."}, {"role": "user", "content": Q}]
REQUEST = {"model": "gpt-4o", "messages": ASKED}
RESPONSE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": A}, "finish_reason": "stop"}
    ],
}
OTEL = {
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.input.messages": json.dumps(
        [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in ASKED]
    ),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": A}], "finish_reason": "stop"}]
    ),
}
NUMBERED = {
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Name it.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": Q,
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": A,
}
OPEN_INFERENCE = {
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Name it.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": Q,
    "llm.output_messages.0.message.content": A,
}
SHAPES: dict[str, dict[str, Any]] = {
    "request and response": {"request": REQUEST, "response": RESPONSE},
    "wrapped in bodies": {"request": {"body": REQUEST}, "response": {"status": 200, "body": RESPONSE}},
    "as JSON text": {"request_body": json.dumps(REQUEST), "response_body": json.dumps(RESPONSE)},
    "stored completion": {"messages": ASKED, **RESPONSE},
    "chat log": {"messages": [*ASKED, {"role": "assistant", "content": A}], "model": "gpt-4o"},
    "public chat set": {
        "conversation_hash": "abc",
        "model": "gpt-4o",
        "conversation": [*ASKED, {"role": "assistant", "content": A, "toxic": False}],
        "language": "English",
    },
    "input and output": {"input": ASKED, "output": {"role": "assistant", "content": A}},
    "inputs and outputs": {
        "inputs": {"messages": ASKED},
        "outputs": {"generations": [{"text": A, "message": {"role": "assistant", "content": A}}]},
    },
    "responses API": {
        "input": [{"type": "message", **m} for m in ASKED],
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]},
        ],
    },
    "responses API with instructions": {
        "request": {"instructions": "Name it.", "input": Q},
        "response": {"object": "response", "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]}
        ]},
    },
    "agents' span": {
        "object": "trace.span", "id": "span_1", "span_data": {
            "type": "generation", "input": ASKED, "output": [{"role": "assistant", "content": A}]
        },
    },
    "OpenTelemetry": {"traceId": "t", "spanId": "s", "attributes": OTEL},
    "OpenLLMetry": {"span_id": "s", "attributes": NUMBERED},
    "OpenInference": {"span_id": "s", "attributes": OPEN_INFERENCE},
    "OTLP attributes": {
        "spanId": "s",
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in NUMBERED.items()],
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_same_conversation(shape: str) -> None:
    read = read_conversation(SHAPES[shape])
    assert [(m.role, m.text) for m in read.messages] == [("system", "Name it."), ("user", Q)]
    assert read.answer == A


def test_model_time_and_thumb_are_read_where_they_stand() -> None:
    read = read_conversation(SHAPES["wrapped in bodies"] | {"feedback": {"rating": -1}})
    assert (read.model, read.time, read.thumb) == ("gpt-4o", 1.7e9, "down")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_700_000_000, 1.7e9),
        (1_700_000_000_000, 1.7e9),
        ("1700000000000000000", 1.7e9),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("yesterday", 0.0),
        (None, 0.0),
        (float("inf"), 0.0),
        (True, 0.0),
    ],
)
def test_times(value: object, seconds: float) -> None:
    assert read_time(value) == seconds


def test_an_answer_that_is_json_stays_the_text_it_was() -> None:
    answer = '{"input": "a", "output": "b"}'
    assert read_conversation({"input": Q, "output": answer}).answer == answer
    assert read_conversation({"prompt": Q, "completion": answer}).answer == answer


@pytest.mark.parametrize(
    "values",
    [
        {"x": 1},
        {"messages": [{"role": "user", "content": Q}]},
        {"messages": [{"role": "assistant", "content": A}]},
        {"request": REQUEST, "response": {"error": {"message": "no"}}},
        {"input": "", "output": A},
        {"input": Q, "output": "half \ud83d"},
        {"messages": "not json"},
        {"request": {"messages": [{"role": "alien", "content": Q}]}, "response": RESPONSE},
    ],
)
def test_what_is_no_conversation_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RowError):
        read_conversation(values)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "role", "content", "input", "output", "request", "response", "choices",
             "body", "attributes", "span_data", "type", "text", "message", "custom_id", "key", "value"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["messages", "input", "output", "request", "response", "attributes", "custom_id", "body", "feedback", "created"]), json_values))  # fmt: skip
def test_any_record_is_read_or_refused(values: dict[str, Any]) -> None:
    read_thumb(values)
    try:
        read = read_conversation(values)
    except RowError:
        return
    assert read.messages


def test_a_file_of_many_shapes(tmp_path: Path) -> None:
    lines = [
        SHAPES["chat log"],
        {"custom_id": "a", "body": REQUEST},
        {"custom_id": "b", "body": REQUEST},
    ]
    lines += [{"span_id": "x", "attributes": {"db.system": "sqlite"}}, {"nothing": 1}]
    lines += [{"resourceSpans": [{"scopeSpans": [{"spans": [SHAPES["OTLP attributes"]]}]}]}]
    questions = tmp_path / "log.jsonl"
    questions.write_text("\n".join(map(json.dumps, lines)) + "\nnot json\n")
    answers = tmp_path / "batch.jsonl"
    done = {"custom_id": "a", "response": {"status_code": 200, "body": RESPONSE}, "error": None}
    answers.write_text(json.dumps(done) + "\n")
    log = read_traffic_logs([questions, answers])
    assert [(c.answer, place) for c, place in log.conversations] == [
        (A, "log.jsonl:1"), (A, "log.jsonl:6"), (A, "log.jsonl:2")
    ]  # fmt: skip
    assert log.skipped == 1
    assert [place for place, _ in log.unreadable] == ["log.jsonl:5", "log.jsonl:7", "log.jsonl:3"]


def test_a_file_of_plain_text_and_a_missing_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello there\nworld")
    with pytest.raises(DataError, match="plain text"):
        read_traffic_logs([tmp_path / "notes.txt"])
    with pytest.raises(DataError, match="no such file"):
        read_traffic_logs([tmp_path / "gone.jsonl"])
