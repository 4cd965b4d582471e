"""A server that does everything that real servers were seen to do, and what becomes of it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from residency.config.endpoint import EndpointConfig
from residency.embedding.named_embedders import EndpointEmbedder
from residency.errors import ConfigError, EndpointError, ResidencyError
from residency.http.endpoint_generator import EndpointGenerator
from residency.http.request_costs import sum_answer_tokens, sum_costs
from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

URL = "http://server.test/v1"
Reply = Callable[[dict[str, Any]], httpx.Response]


def choice(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", **message}, "finish_reason": finish}


def completion(*choices: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"choices": list(choices), **more}
    return httpx.Response(200, content=json.dumps(body).encode())  # surrogates stay escaped


def refuse(code: int, message: str, **headers: str) -> httpx.Response:
    return httpx.Response(code, json={"error": {"message": message}}, headers=headers)


class Server:
    """Answers by a script; keeps what it was sent."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        return self.reply(body)

    def generator(self, **settings: Any) -> EndpointGenerator:
        values = {"url": URL, "model": "m", "retries": 1, "concurrency": 1, **settings}
        return EndpointGenerator(
            EndpointConfig(**values),
            transport=httpx.MockTransport(self),
            sleep=lambda seconds: None,
        )


def ask(reply: Reply, *questions: str, **settings: Any) -> list[Generation]:
    prompts = [Prompt((Message("user", q),), key=q) for q in questions or ("q",)]
    with Server(reply).generator(**settings) as endpoint:
        return endpoint.generate(prompts, Sampling(max_new_tokens=9))


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (
            choice(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
            "ab",
            "stop",
        ),
        (choice(content=["a", {"type": "output_text", "text": "b"}]), "ab", "stop"),
        (choice(content=[{"type": "reasoning", "text": "hm"}, {"text": "b"}]), "b", "stop"),
        (choice("max_tokens", content="half"), "half", "length"),
        (choice("model_length", content="half"), "half", "length"),
        (choice("end_turn", content="all"), "all", "stop"),
        (choice("tool_calls", content="", tool_calls=[{"id": "1"}]), '[{"id": "1"}]', "stop"),
        (choice("tool_calls", content=None, tool_calls=[{"id": "1"}]), '[{"id": "1"}]', "stop"),
        (choice(content=None, reasoning_content="I think"), "", "stop"),
        (choice("length", content=None, reasoning="I think"), "", "length"),
        (choice(content="x\ud800y"), "x\ufffdy", "stop"),
        (choice(content=""), "", "stop"),
    ],
)
def test_every_form_of_an_answer_is_read(answer: dict[str, Any], text: str, finish: str) -> None:
    (generation,) = ask(lambda body: completion(answer))
    assert (generation.text, generation.finish, generation.error) == (text, finish, "")
    generation.text.encode()  # can be stored


@pytest.mark.parametrize(
    "broken",
    [
        {"error": {"message": "upstream gone", "code": 502}, "choices": []},
        {"choices": [{**choice("error", content=""), "error": {"message": "upstream gone"}}]},
        {"choices": [choice("error", content="upstream gone")]},
    ],
)
def test_pain_45_an_error_inside_a_good_response_is_an_error(broken: dict[str, Any]) -> None:
    server = Server(lambda body: httpx.Response(200, json=broken))
    with server.generator() as endpoint:
        (generation,) = endpoint.generate([Prompt((Message("user", "q"),))], Sampling())
    assert generation.finish == "error"
    assert generation.error
    assert len(server.bodies) == 2  # it was tried again


def test_settings_that_a_model_refuses_are_sent_otherwise_told_and_remembered() -> None:
    def reply(body: dict[str, Any]) -> httpx.Response:
        if "max_tokens" in body:
            what = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return refuse(400, what)
        if "temperature" in body:
            return refuse(400, "Unsupported value: 'temperature' does not support 0.")
        return completion(choice(content="fine"))

    server = Server(reply)
    with server.generator() as endpoint:
        prompts = [Prompt((Message("user", f"q{i}"),), key=str(i)) for i in range(3)]
        answers = endpoint.generate(prompts, Sampling(max_new_tokens=9))
        assert [a.text for a in answers] == ["fine"] * 3
        assert len(server.bodies) == 3 + 2  # found out once
        assert server.bodies[-1]["max_completion_tokens"] == 9
        assert "temperature" not in server.bodies[-1]
        assert any("max_completion_tokens" in note for note in endpoint.notes)
        assert any("temperature" in note for note in endpoint.notes)


def test_requests_on_their_way_when_a_refusal_is_learned_are_sent_again() -> None:
    """All workers send the refused setting before one of them hears of it."""
    together = threading.Barrier(4)

    def reply(body: dict[str, Any]) -> httpx.Response:
        if "max_tokens" in body:
            together.wait(timeout=20)
            return refuse(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in body:
            return refuse(400, "Unsupported value: 'temperature' does not support 0.")
        return completion(choice(content="fine"))

    answers = ask(reply, *"abcd", concurrency=4)
    assert [answer.text for answer in answers] == ["fine"] * 4


def test_a_stream_that_is_refused_for_another_reason_ends() -> None:
    def reply(body: dict[str, Any]) -> httpx.Response:
        if "max_tokens" in body:
            return refuse(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return refuse(400, "this text is not allowed")

    server = Server(reply)
    with server.generator() as endpoint, pytest.raises(EndpointError, match="not allowed"):
        list(endpoint.stream([Message("user", "q")], Sampling(max_new_tokens=9)))
    assert len(server.bodies) == 2


def test_a_wrong_setting_that_we_did_not_send_is_a_refusal() -> None:
    server = Server(lambda body: refuse(400, "the prompt is too long for max_tokens 9"))
    with server.generator() as endpoint:
        (answer,) = endpoint.generate([Prompt((Message("user", "q"),))], Sampling())
    assert "too long" in answer.error
    assert len(server.bodies) == 1


def test_half_surrogates_in_a_prompt_are_sent_as_something() -> None:
    server = Server(lambda body: completion(choice(content="fine")))
    with server.generator() as endpoint:
        (answer,) = endpoint.generate([Prompt((Message("user", "x\ud800y"),))], Sampling())
    assert answer.text == "fine"
    assert server.bodies[0]["messages"][0]["content"] == "x\ufffdy"


def test_the_pause_that_one_request_is_told_holds_for_all() -> None:
    waits: list[float] = []
    asked: list[str] = []

    def reply(body: dict[str, Any]) -> httpx.Response:
        asked.append(body["messages"][0]["content"])
        if len(asked) == 1:
            return refuse(429, "slow down", **{"retry-after": "30"})
        return completion(choice(content="fine"))

    config = EndpointConfig(url=URL, concurrency=1, retries=2)
    transport = httpx.MockTransport(Server(reply))
    with EndpointGenerator(config, transport=transport, sleep=waits.append) as endpoint:
        prompts = [Prompt((Message("user", f"q{i}"),), key=str(i)) for i in range(3)]
        endpoint.generate(prompts, Sampling())
    # The clock of this test stands still: every later request waits as well.
    assert len(waits) == 3
    assert min(waits) > 25


def test_the_cost_is_unknown_where_the_server_does_not_count() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    cached = usage | {"prompt_tokens_details": {"cached_tokens": 60}}
    prices = {"prompt_price": 2.0, "answer_price": 4.0}
    for used, more, cost in [
        (usage, {}, (100 * 2 + 10 * 4) / 1e6),
        (cached, {"cached_price": 0.5}, (40 * 2 + 60 * 0.5 + 10 * 4) / 1e6),
        (cached, {}, (100 * 2 + 10 * 4) / 1e6),
        ({}, {}, None),
        ({"prompt_tokens": None, "completion_tokens": 10}, {}, None),
    ]:
        server = Server(lambda body, used=used: completion(choice(content="x"), usage=used))
        with server.generator(**prices, **more) as endpoint:
            endpoint.generate([Prompt((Message("user", "q"),))], Sampling())
            assert sum_costs(endpoint.calls) == (None if cost is None else pytest.approx(cost))
            assert (sum_answer_tokens(endpoint.calls) is None) == (not used)


# --- embeddings ---------------------------------------------------------------------------


def embedder(reply: Reply, **settings: Any) -> EndpointEmbedder:
    config = EndpointConfig(**{"url": URL, "model": "e", "retries": 1, **settings})
    transport = httpx.MockTransport(Server(reply))
    return EndpointEmbedder(config, transport=transport, sleep=lambda seconds: None)


def vectors(rows: list[list[float | None]]) -> httpx.Response:
    data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
    return httpx.Response(200, content=json.dumps({"data": data}).encode())


def test_a_text_beyond_the_servers_limit_has_no_vector_and_the_others_have() -> None:
    def reply(body: dict[str, Any]) -> httpx.Response:
        if any(len(text) > 50 for text in body["input"]):
            return refuse(400, "maximum context length is 50 tokens")
        return vectors([[3.0, 4.0] for _ in body["input"]])

    texts = ["short", "x" * 100, "another", *(f"text {i}" for i in range(70))]
    rows = embedder(reply).embed(texts)
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths[1] == 0
    assert np.allclose(np.delete(lengths, 1), 1)
    (only,) = embedder(reply).embed(["y" * 99])
    assert not only.any()


def test_a_server_that_refuses_every_text_is_an_error() -> None:
    with pytest.raises(EndpointError, match="no such model"):
        embedder(lambda body: refuse(404, "no such model")).embed(["a", "b"])


def test_vectors_that_are_none_become_zeros() -> None:
    rows = embedder(
        lambda body: vectors([[float("nan"), 1.0], [0.0, 0.0], [None, 2.0], [0.0, 2.0]])
    )
    found = rows.embed(["a", "b", "c", "d"])
    assert found.tolist() == [[0, 0], [0, 0], [0, 0], [0, 1]]


# --- keys ---------------------------------------------------------------------------------

KEY = "sk-MARKER-0123456789"


def echo(code: int) -> Reply:
    return lambda body: refuse(code, f"bad key: Bearer {KEY}", location=f"http://x/?key={KEY}")


@pytest.mark.parametrize("code", [301, 400, 401, 402, 403, 404, 429, 500, 200])
@pytest.mark.parametrize("what", ["chat", "stream", "embed"])
def test_the_key_stands_in_no_message_however_a_server_fails(
    code: int, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MARKED_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    config = EndpointConfig(url=URL, key_env="MARKED_KEY", retries=1, concurrency=1)
    transport = httpx.MockTransport(Server(echo(code)))
    told: list[str] = []
    try:
        if what == "embed":
            maker = EndpointEmbedder(config, transport=transport, sleep=lambda s: None)
            told.append(maker.name)
            maker.embed(["a"])
        else:
            endpoint = EndpointGenerator(config, transport=transport, sleep=lambda s: None)
            told += [endpoint.url, repr(endpoint), repr(vars(endpoint._client))]
            if what == "stream":
                told += endpoint.stream([Message("user", "q")], Sampling())
            else:
                prompts = [Prompt((Message("user", f"q{i}"),)) for i in range(3)]
                events: list[Any] = []
                answers = endpoint.generate(prompts, Sampling(), progress=events.append)
                told += [*map(repr, answers), *map(repr, endpoint.calls), *map(repr, events)]
    except ResidencyError as error:
        chain: BaseException | None = error
        while chain is not None:
            told.append(f"{chain!r} {chain}")
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert told
    assert KEY not in "\n".join([*told, caplog.text])


def test_an_answer_that_repeats_the_key_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKED_KEY", KEY)
    (answer,) = ask(
        lambda body: completion(choice(content=f"your key is {KEY}")), key_env="MARKED_KEY"
    )
    assert KEY not in answer.text


@pytest.mark.parametrize(
    "key", ["sk-SECRET-123\nx", "sk-sécret-123", "sk-\x00secret", "sk-SECRET\x7f"]
)
@pytest.mark.parametrize("maker", [EndpointGenerator, EndpointEmbedder])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(
    key: str, maker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"MARKED_KEY": key})
    else:
        monkeypatch.setenv("MARKED_KEY", key)
    with pytest.raises(ConfigError, match="MARKED_KEY") as caught:
        maker(EndpointConfig(url=URL, key_env="MARKED_KEY"))
    assert "SECRET" not in str(caught.value)
    assert "cret" not in str(caught.value)


# --- streams ------------------------------------------------------------------------------


def event(text: str, finish: str | None = None) -> str:
    piece = {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}
    return json.dumps(piece, ensure_ascii=False)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_stream_is_cut_at_its_own_line_ends_alone(newline: str) -> None:
    """U+2028 and U+0085 inside an answer end no line of a stream."""
    pieces = ["he\u2028l", "lo\u0085", " there"]
    lines = "".join(f"data: {event(piece)}{newline}{newline}" for piece in pieces)
    body = f": comment{newline}{newline}{lines}data: [DONE]{newline}{newline}"

    def reply(sent: dict[str, Any]) -> httpx.Response:
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        return httpx.Response(200, content=body.encode(), headers=headers)

    with Server(reply).generator() as endpoint:
        assert list(endpoint.stream([Message("user", "q")], Sampling())) == pieces


def test_a_server_that_does_not_stream_is_read_whole() -> None:
    def reply(body: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json={"choices": [choice(content="all at once")]})

    with Server(reply).generator() as endpoint:
        assert list(endpoint.stream([Message("user", "q")], Sampling())) == ["all at once"]
