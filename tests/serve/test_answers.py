"""What a client gets is what the product itself says offline, whatever else is being answered."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from finished_run import copy_run
from residency.commands.project import Project
from residency.interfaces import Choice, Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.nouns.response import Sampling
from residency.serve.hooks import RequestRecord
from residency.serve.metrics import Metrics
from served import Served, serve_project

TEXTS = ["I bought a red cup", "Here is my blue hat", "Please look at the green box t12"]


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_run(finished_run, tmp_path_factory.mktemp("served") / "project")


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch, serve_project(root, patch, slots=4) as running:
        yield running


@pytest.fixture(scope="module")
def offline(root: Path) -> Project:
    return Project.open(root)


def answer_offline(
    project: Project, name: str, text: str, *, sample: int = 0, **settings: Any
) -> Generation:
    model = project.model(name)
    project.engine.use_adapter(
        project.store.artifacts.folder(model.adapter) if model.adapter else None
    )
    prompt = Prompt((Message("user", text),), sample=sample)
    return project.engine.generate([prompt], Sampling(max_new_tokens=12, **settings))[0]


def read_stream(served: Served, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    reply = served.post(path, {**body, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in reply.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@pytest.mark.parametrize("name", ["base", "round-1", "final"])
def test_greedy_answers_are_the_offline_ones(served: Served, offline: Project, name: str) -> None:
    for text in TEXTS:
        expected = answer_offline(offline, name, text)
        reply = served.chat(text, model=name, max_tokens=12, temperature=0).json()
        assert reply["choices"][0]["message"]["content"] == expected.text
        assert reply["choices"][0]["finish_reason"] == expected.finish
        assert reply["usage"]["completion_tokens"] == len(expected.token_ids)
        assert reply["usage"]["prompt_tokens"] == expected.prompt_tokens


def test_names_and_ids_mean_the_same_model(served: Served, offline: Project) -> None:
    listed = [m["id"] for m in httpx.get(f"{served.url}/v1/models").json()["data"]]
    assert {"base", "round-1", "final", offline.model("final").id} <= set(listed)
    by_name, by_id = (
        served.chat(TEXTS[0], model=name, max_tokens=12).json()
        for name in ("final", offline.model("final").id)
    )
    assert by_name["choices"] == by_id["choices"]
    assert by_name["system_fingerprint"] == offline.model("final").id


def test_many_clients_and_models_at_once_change_nothing(served: Served, offline: Project) -> None:
    asked = [(name, text) for text in TEXTS for name in ("base", "final", "round-1")] * 2
    with ThreadPoolExecutor(len(asked)) as clients:
        replies = list(clients.map(lambda a: served.chat(a[1], model=a[0], max_tokens=12), asked))
    for (name, text), reply in zip(asked, replies, strict=True):
        expected = answer_offline(offline, name, text)
        assert reply.json()["choices"][0]["message"]["content"] == expected.text


def test_a_seed_gives_the_same_answer_beside_any_neighbours(
    served: Served, offline: Project
) -> None:
    warm = {"temperature": 1.1, "top_p": 0.9, "top_k": 40}
    expected = [
        answer_offline(offline, "final", TEXTS[0], sample=n, seed=7, **warm).text for n in (0, 1)
    ]
    assert expected[0] != expected[1]

    def ask(seed: int) -> Any:
        return served.chat(TEXTS[0], model="final", max_tokens=12, seed=seed, n=2, **warm).json()

    with ThreadPoolExecutor(4) as clients:
        replies = list(clients.map(ask, (7, 1, 2, 7)))
    for at in (0, 3):
        assert [c["message"]["content"] for c in replies[at]["choices"]] == expected
    assert replies[1]["choices"] != replies[2]["choices"]


@pytest.mark.parametrize("settings", [{}, {"n": 2, "temperature": 1.0, "seed": 3}])
def test_pieces_make_the_whole(served: Served, settings: dict[str, Any]) -> None:
    body = {
        "model": "final", "messages": [{"role": "user", "content": TEXTS[1]}], "max_tokens": 12,
        **settings,
    }  # fmt: skip
    whole = served.post("/v1/chat/completions", body).json()
    options = {"stream_options": {"include_usage": True}}
    events = read_stream(served, "/v1/chat/completions", {**body, **options})
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["total_tokens"] == whole["usage"]["total_tokens"]
    for choice in whole["choices"]:
        own = [c for e in events for c in e["choices"] if c["index"] == choice["index"]]
        assert own[0]["delta"] == {"role": "assistant", "content": ""}
        text = "".join(c["delta"].get("content", "") for c in own)
        assert text == choice["message"]["content"]
        assert [c["finish_reason"] for c in own if c["finish_reason"]] == [choice["finish_reason"]]
        assert "\ufffd" not in text or "\ufffd" in choice["message"]["content"]


def test_a_stop_string_never_shows(served: Served) -> None:
    full = served.chat(TEXTS[0], max_tokens=40).json()["choices"][0]["message"]["content"]
    stop = full[4:7]
    assert len(stop) == 3
    body = {
        "model": "base", "messages": [{"role": "user", "content": TEXTS[0]}], "max_tokens": 40,
        "stop": [stop, "never there"],
    }  # fmt: skip
    whole = served.post("/v1/chat/completions", body).json()["choices"][0]
    assert whole["message"]["content"] == full[: full.index(stop)]
    assert whole["finish_reason"] == "stop"
    events = read_stream(served, "/v1/chat/completions", body)
    pieces = [c["delta"].get("content", "") for e in events for c in e["choices"]]
    assert "".join(pieces) == full[: full.index(stop)]


def test_log_probabilities_of_chat(served: Served, offline: Project) -> None:
    reply = served.chat(TEXTS[0], max_tokens=6, logprobs=True, top_logprobs=3).json()
    rows = reply["choices"][0]["logprobs"]["content"]
    expected = answer_offline(offline, "base", TEXTS[0])
    offline.engine.use_adapter(None)
    assert len(rows) == 6
    assert all(len(row["top_logprobs"]) == 3 for row in rows)
    assert all(row["top_logprobs"][0]["logprob"] == row["logprob"] for row in rows)  # greedy
    names = [served.opened.server.service.live.plain.show([t]) for t in expected.token_ids[:6]]
    assert [row["token"] for row in rows] == names


def test_scores_of_a_prompt_are_those_of_the_harness(served: Served, offline: Project) -> None:
    """What lm-evaluation-harness asks a completions server: echo, one token, its log-probabilities."""
    offline.engine.use_adapter(None)
    context, rest = "I bought a", " red cup and a hat"
    ids = served.opened.server.service.live.encode_text(context + rest)
    body = {"model": "base", "prompt": [ids, ids], "max_tokens": 1, "logprobs": 1, "echo": True}
    reply = served.post("/v1/completions", {**body, "temperature": 0, "seed": 1}).json()
    [[score]] = offline.engine.score([[Choice(context, rest)]])
    for choice in reply["choices"]:
        noted = choice["logprobs"]["token_logprobs"]
        assert noted[0] is None
        assert len(noted) == len(ids) + 1
        assert sum(noted[-1 - score.tokens : -1]) == pytest.approx(score.logprob, abs=1e-3)
        assert choice["text"].startswith(context + rest)


def test_completions_continue_plain_text(served: Served, offline: Project) -> None:
    reply = served.post("/v1/completions", {"model": "base", "prompt": "I bought a "}).json()
    assert reply["usage"]["completion_tokens"] <= 16
    live = served.opened.server.service.live
    ids = live.encode_text("I bought a ")
    same = served.post("/v1/completions", {"model": "base", "prompt": ids}).json()
    assert same["choices"] == reply["choices"]
    events = read_stream(served, "/v1/completions", {"model": "base", "prompt": "I bought a "})
    text = "".join(c["text"] for e in events for c in e["choices"])
    assert text == reply["choices"][0]["text"]


def test_answers_follow_a_json_schema(served: Served) -> None:
    pytest.importorskip("llguidance")
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "kind": {"enum": ["cup", "hat"]}},
        "required": ["kind", "n"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "ticket", "schema": schema}}
    for seed in range(3):
        reply = served.chat(
            TEXTS[seed], max_tokens=100, temperature=1.5, seed=seed, response_format=wanted
        ).json()["choices"][0]
        if reply["finish_reason"] == "stop":
            value = json.loads(reply["message"]["content"])
            assert value["kind"] in ("cup", "hat")
            assert isinstance(value["n"], int)
        else:  # a random model may write digits without end
            assert reply["message"]["content"].startswith('{"')


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}},
        {"$id": "file:///etc/passwd", "type": "object"},
        {"type": "nothing"},
        {"type": "string", "pattern": "("},
    ],
)
def test_schemas_that_reach_outside_or_cannot_be_followed_are_refused(
    served: Served, schema: dict[str, Any]
) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    reply = served.chat(response_format=wanted)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "response_format"
    assert "root:" not in reply.text


def test_embeddings_are_the_projects(served: Served, offline: Project) -> None:
    body: dict[str, Any] = {"model": "embedder", "input": ["a red cup", "a blue hat"]}
    plain = served.post("/v1/embeddings", body).json()
    packed = served.post("/v1/embeddings", {**body, "encoding_format": "base64"}).json()
    expected = offline.embedder.embed(body["input"])
    for at, row in enumerate(plain["data"]):
        assert row["index"] == at
        assert np.allclose(row["embedding"], expected[at], atol=1e-6)
        unpacked = np.frombuffer(base64.b64decode(packed["data"][at]["embedding"]), "<f4")
        assert np.allclose(unpacked, expected[at], atol=1e-6)


def test_the_openai_client_works_unchanged(served: Served) -> None:
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none")
    messages: Any = [{"role": "user", "content": TEXTS[0]}]
    whole = client.chat.completions.create(model="final", messages=messages, max_tokens=12)
    stream = client.chat.completions.create(
        model="final", messages=messages, max_tokens=12, stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == whole.choices[0].message.content
    vectors = client.embeddings.create(model="embedder", input="a red cup")
    assert len(vectors.data[0].embedding) > 8
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="../../etc/passwd", messages=messages)
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("meta/llama")
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(
            model="final", messages=messages,
            tools=[{"type": "function", "function": {"name": "f"}}],
        )  # fmt: skip


def read_figures(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Label values → figure, in the order of the labels' names."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_figures_count_every_request(served: Served) -> None:
    def count() -> Counter[tuple[str, ...]]:
        text = httpx.get(f"{served.url}/metrics").text
        return Counter(read_figures(text, "residency_serve_requests_total"))

    before = len(served.memory.wait_for(0))
    start = count()
    served.chat(max_tokens=2)
    served.chat(model="nobody")
    served.chat(frobnicate=1)
    httpx.post(f"{served.url}/v1/embeddings", content=b"{}")
    served.memory.wait_for(before + 4)
    chat = "/v1/chat/completions"
    new = count() - start
    assert new == {
        (chat, "base", "200"): 1,
        (chat, "", "404"): 1,
        (chat, "", "400"): 1,
        ("/v1/embeddings", "", "415"): 1,
    }
    unknown, unread, refused = served.memory.records[-3:]
    assert (unknown.status, unknown.model, unknown.error) == (404, "", "model_not_found")
    assert (unread.status, unread.model, unread.error) == (400, "", "unknown_parameter")
    assert (refused.status, refused.endpoint) == (415, "/v1/embeddings")


def test_moderation_is_counted_by_kind() -> None:
    """A text that grows is judged again and again: each kind counts once a request and side."""
    metrics = Metrics(lambda: 0, lambda: 0)
    decisions = (
        ModerationDecision("allow", by="input: secrets 1"),
        ModerationDecision("flag", "rule a", by="output: rules"),
        ModerationDecision("flag", "rule a, rule b", by="output: rules"),
        ModerationDecision("mask", "email address", by="output: rules"),
    )
    metrics.request_finished(
        RequestRecord("1", 0.0, "/v1/completions", "base", "", 200, decisions=decisions)
    )
    counted = read_figures(metrics.write_text().decode(), "residency_serve_moderation_total")
    assert counted == {
        ("flag", "rule a", "output"): 1,
        ("flag", "rule b", "output"): 1,
        ("mask", "email address", "output"): 1,
    }


def test_records_hold_no_text_unless_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for texts in (False, True):
        with serve_project(root, monkeypatch, texts=texts) as served:
            served.chat("a secret sentence", max_tokens=3)
            [record] = served.memory.wait_for(1)
            assert ("a secret sentence" in repr(record)) is texts
            assert record.prompt_tokens > 0
            assert record.first_token_seconds is not None
            assert 0 <= record.queue_seconds <= record.first_token_seconds <= record.seconds
