"""The endpoint generator against a server that misbehaves in every way that servers do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from heard_signals import hear_signal
from residency.config.endpoint import EndpointConfig
from residency.errors import ConfigError, EndpointError
from residency.http.endpoint_generator import EndpointGenerator
from residency.interfaces import Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

Act = Callable[["Handler", str, int], None]


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's script: (handler, question, times it was asked) → a reply."""

    server: Fake

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("authorization", ""))
            asked = self.server.asked[question] = self.server.asked.get(question, 0) + 1
            self.server.flying += 1
            self.server.most = max(self.server.most, self.server.flying)
        try:
            self.server.act(self, question, asked)
        finally:
            with self.server.lock:
                self.server.flying -= 1

    def reply(self, code: int, text: str, **headers: str) -> None:
        """One whole response."""
        self.send_response(code)
        self.send_header("content-length", str(len(text.encode())))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self, text: str, finish: str = "stop") -> None:
        """A chat completion."""
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        self.reply(200, json.dumps({"choices": [choice], "usage": usage}))

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


class Fake(ThreadingHTTPServer):
    """The server and what it saw."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.act: Act = lambda handler, question, asked: handler.answer(f"re: {question}")
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.asked: dict[str, int] = {}
        self.flying = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@pytest.fixture
def server() -> Iterator[Fake]:
    fake = Fake()
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.shutdown()
    fake.server_close()
    thread.join()


def client(server: Fake, **settings: Any) -> EndpointGenerator:
    """A generator that does not really wait between attempts."""
    config = EndpointConfig(**{"url": server.url, "model": "m", "timeout": 5.0, **settings})
    return EndpointGenerator(config, sleep=lambda seconds: None)


def prompts(count: int) -> list[Prompt]:
    return [Prompt((Message("user", f"q{at}"),), key=f"k{at}") for at in range(count)]


def test_answers_keep_their_order_and_cost_is_recorded(server: Fake) -> None:
    with client(server, concurrency=3, prompt_price=2.0, answer_price=4.0) as endpoint:
        answers = endpoint.generate(prompts(9), Sampling(max_new_tokens=7, stop=("###",)))
        assert [a.text for a in answers] == [f"re: q{at}" for at in range(9)]
        assert 1 <= server.most <= 3
        assert sorted(call.index for call in endpoint.calls) == list(range(9))
        assert endpoint.calls[0].cost == pytest.approx((10 * 2 + 5 * 4) / 1e6)
    assert server.bodies[0]["max_tokens"] == 7
    assert server.bodies[0]["stop"] == ["###"]
    assert "seed" not in server.bodies[0]


def test_sampling_has_a_seed_of_its_own_for_each_item_and_sample(server: Fake) -> None:
    message = (Message("user", "same"),)
    asked = [Prompt(message, key="a", sample=s) for s in (0, 1)] + [Prompt(message, key="b")]
    with client(server) as endpoint:
        endpoint.generate(asked, Sampling(temperature=0.8, seed=3))
        endpoint.generate(asked[:1], Sampling(temperature=0.8, seed=3))
    seeds = [body["seed"] for body in server.bodies]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("trouble", ["429", "500", "garbage", "half", "shape", "slow"])
def test_a_passing_trouble_is_tried_again(server: Fake, trouble: str) -> None:
    def act(handler: Handler, question: str, asked: int) -> None:
        if asked > 2 or question != "q1":
            handler.answer("fine")
        elif trouble == "429":
            handler.reply(429, '{"error": {"message": "slow down"}}', retry_after="1")
        elif trouble == "500":
            handler.reply(500, "oh no")
        elif trouble == "garbage":
            handler.reply(200, "<html>proxy</html>")
        elif trouble == "shape":
            handler.reply(200, '{"choices": []}')
        elif trouble == "half":
            handler.send_response(200)
            handler.send_header("content-length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"mess')
            handler.close_connection = True
        else:
            threading.Event().wait(1.4)
            handler.close_connection = True

    server.act = act
    with client(server, timeout=1.0 if trouble == "slow" else 5.0) as endpoint:
        answers = endpoint.generate(prompts(3), Sampling())
    assert [a.text for a in answers] == ["fine"] * 3
    assert server.asked == {"q0": 1, "q1": 3, "q2": 1}
    assert {call.index: call.attempts for call in endpoint.calls}[1] == 3


def test_the_server_is_given_the_time_it_asks_for(server: Fake) -> None:
    waits: list[float] = []
    server.act = lambda handler, question, asked: (
        handler.answer("fine") if asked > 1 else handler.reply(429, "", retry_after="17")
    )
    endpoint = EndpointGenerator(EndpointConfig(url=server.url), sleep=waits.append)
    endpoint.generate(prompts(1), Sampling())
    assert waits == [pytest.approx(17.0, abs=0.5)]


def test_pain_45_a_lasting_trouble_is_an_error_of_that_item_alone(server: Fake) -> None:
    def act(handler: Handler, question: str, asked: int) -> None:
        if question == "q1":
            handler.reply(503, '{"error": {"message": "model is loading"}}')
        elif question == "q2":
            handler.reply(400, '{"error": {"message": "prompt too long"}}')
        else:
            handler.answer("fine")

    server.act = act
    kept: dict[int, Generation] = {}
    with client(server, retries=2) as endpoint:
        answers = endpoint.generate(prompts(4), Sampling(), on_result=kept.__setitem__)
    assert [a.finish for a in answers] == ["stop", "error", "error", "stop"]
    assert "model is loading" in answers[1].error
    assert "prompt too long" in answers[2].error
    assert server.asked == {"q0": 1, "q1": 3, "q2": 1, "q3": 1}
    assert kept == dict(enumerate(answers))


def test_a_wrong_key_stops_at_once_and_never_shows_it(
    server: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server.act = lambda handler, question, asked: handler.reply(
        401, '{"error": {"message": "invalid key"}}'
    )
    with client(server, key_env="MY_KEY", concurrency=1) as endpoint:
        with pytest.raises(EndpointError, match="invalid key") as caught:
            endpoint.generate(prompts(50), Sampling())
        assert len(server.bodies) < 5
    assert server.keys[0] == "Bearer sk-secret"
    assert "sk-secret" not in str(caught.value)


def test_an_unreachable_server_is_named(server: Fake) -> None:
    config = EndpointConfig(url="http://127.0.0.1:9/v1", retries=1, concurrency=2)
    endpoint = EndpointGenerator(config, sleep=lambda seconds: None)
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9.*cannot be reached"):
        endpoint.generate(prompts(10), Sampling())


def test_answers_before_a_stop_are_kept(server: Fake) -> None:
    server.act = lambda handler, question, asked: (
        handler.reply(402, "quota spent") if question == "q3" else handler.answer("fine")
    )
    kept: dict[int, Generation] = {}
    with client(server, concurrency=1) as endpoint, pytest.raises(EndpointError, match="quota"):
        endpoint.generate(prompts(9), Sampling(), on_result=kept.__setitem__)
    assert sorted(kept) == [0, 1, 2]


@pytest.mark.parametrize("code", [403, 404])
def test_one_prompt_that_is_refused_stops_neither_the_rest_nor_a_rerun(
    server: Fake, code: int
) -> None:
    server.act = lambda handler, question, asked: (
        handler.reply(code, "not this one") if question == "q0" else handler.answer("fine")
    )
    with client(server, concurrency=1) as endpoint:
        answers = endpoint.generate(prompts(4), Sampling())
    assert [a.finish for a in answers] == ["error", "stop", "stop", "stop"]
    assert "not this one" in answers[0].error
    with client(server) as endpoint:  # the rerun asks for the missing one alone
        (again,) = endpoint.generate(prompts(1), Sampling())
    assert again.finish == "error"


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="url"):
        EndpointGenerator(EndpointConfig())
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        EndpointGenerator(EndpointConfig(url="http://x/v1", key_env="NO_SUCH_KEY"))


SCHEMA = {"type": "object", "properties": {"verdict": {"enum": ["pass", "fail"]}}}


def with_schema(count: int) -> list[Prompt]:
    return [Prompt(p.messages, key=p.key, schema=SCHEMA) for p in prompts(count)]


def forms(server: Fake) -> list[str]:
    """The response format of every request."""
    return [body.get("response_format", {}).get("type", "") for body in server.bodies]


def test_a_schema_is_sent_as_the_response_format(server: Fake) -> None:
    with client(server) as endpoint:
        endpoint.generate([*with_schema(2), *prompts(1)], Sampling())
        assert endpoint.refused_format == ""
    assert sorted(forms(server)) == ["", "json_schema", "json_schema"]
    sent = next(b["response_format"] for b in server.bodies if "response_format" in b)
    assert sent["json_schema"]["schema"] == SCHEMA
    assert sent["json_schema"]["name"]


@pytest.mark.parametrize(("taken", "form"), [({"json_object", ""}, "json_object"), ({""}, "")])
def test_a_server_that_refuses_a_schema_is_asked_without(
    server: Fake, taken: set[str], form: str
) -> None:
    def act(handler: Handler, question: str, asked: int) -> None:
        if forms(server)[-1] in taken:
            handler.answer("{}")
        else:
            handler.reply(400, '{"error": {"message": "response_format is not supported"}}')

    server.act = act
    with client(server, concurrency=1) as endpoint:
        answers = endpoint.generate(with_schema(4), Sampling())
        assert [a.finish for a in answers] == ["stop"] * 4
        assert "response_format is not supported" in endpoint.refused_format
    # Only the first question finds out what the server takes.
    assert forms(server)[-3:] == [form] * 3
    assert len(server.bodies) == 4 + (1 if form else 2)


def test_a_request_that_is_refused_for_itself_changes_no_format(server: Fake) -> None:
    server.act = lambda handler, question, asked: (
        handler.reply(400, '{"error": {"message": "prompt too long"}}')
        if question == "q1"
        else handler.answer("{}")
    )
    with client(server, concurrency=1) as endpoint:
        answers = endpoint.generate(with_schema(3), Sampling())
        assert [a.finish for a in answers] == ["stop", "error", "stop"]
        assert "prompt too long" in answers[1].error
        assert endpoint.refused_format == ""
    assert forms(server) == ["json_schema"] * 3
    server.bodies.clear()
    with client(server, concurrency=1) as endpoint:  # the refused one comes first
        found = endpoint.generate([with_schema(2)[1], with_schema(1)[0]], Sampling())
        assert [a.finish for a in found] == ["error", "stop"]
        assert endpoint.refused_format == ""


def test_a_server_that_only_fails_is_given_up_and_what_came_is_kept(server: Fake) -> None:
    """Otherwise a time-out of two minutes, tried five times, would be spent on every item."""
    server.act = lambda handler, question, asked: (
        handler.answer("fine") if question in ("q0", "q1") else handler.reply(503, "overloaded")
    )
    kept: dict[int, Generation] = {}
    why = r"8 requests in a row failed.*overloaded"
    with (
        client(server, concurrency=1, retries=1) as endpoint,
        pytest.raises(EndpointError, match=why),
    ):
        endpoint.generate(prompts(90), Sampling(), on_result=kept.__setitem__)
    assert [kept[0].text, kept[1].text] == ["fine", "fine"]
    assert len(server.asked) <= 45  # the thread that asks runs ahead on a busy machine


def test_answers_in_flight_when_another_is_refused_are_kept(server: Fake) -> None:
    all_there, refused = threading.Barrier(3), threading.Event()

    def act(handler: Handler, question: str, asked: int) -> None:
        all_there.wait(60)
        if question == "q1":
            handler.reply(401, "no")
            refused.set()
        else:
            refused.wait(60)
            time.sleep(0.3)  # the refusal has been read by then, mostly
            handler.answer("fine")

    server.act = act
    kept: list[int] = []
    with client(server, concurrency=3) as endpoint, pytest.raises(EndpointError, match="401"):
        endpoint.generate(
            prompts(3), Sampling(), on_result=lambda index, generation: kept.append(index)
        )
    assert sorted(kept) == [0, 2]


@pytest.mark.parametrize(
    ("code", "body", "headers", "said"),
    [
        (402, '{"error": {"message": "no credit"}}', {}, "no credit"),
        (404, '{"error": {"message": "no such model"}}', {}, "no such model"),
        (308, "", {"location": "https://elsewhere/v1"}, "moved to https://elsewhere/v1"),
    ],
)
def test_what_no_item_can_mend_stops_at_once(
    server: Fake, code: int, body: str, headers: dict[str, str], said: str
) -> None:
    server.act = lambda handler, question, asked: handler.reply(code, body, **headers)
    with client(server, concurrency=1) as endpoint, pytest.raises(EndpointError, match=said):
        endpoint.generate(prompts(50), Sampling())
    assert len(server.bodies) <= 2  # one question, and a harmless one that tells whose fault it is


def completion(**message: Any) -> str:
    ended = message.pop("finish_reason", "stop")
    return json.dumps({"choices": [{"message": message, "finish_reason": ended}]})


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        (completion(content=None, refusal="I cannot say."), "I cannot say.", "stop"),
        (completion(content=None, finish_reason="length"), "", "length"),
        (completion(content=None, tool_calls=[{"id": "1"}]), '[{"id": "1"}]', "stop"),
        (completion(content="half", finish_reason="content_filter"), "half", "error"),
    ],
)
def test_answers_without_content_are_answers(
    server: Fake, body: str, text: str, finish: str
) -> None:
    server.act = lambda handler, question, asked: handler.reply(
        200, body, content_type="text/plain"
    )
    with client(server) as endpoint:
        (answer,) = endpoint.generate(prompts(1), Sampling())
    assert (answer.text, answer.finish) == (text, finish)
    assert len(server.bodies) == 1


def test_the_trouble_is_told_while_it_lasts(server: Fake) -> None:
    server.act = lambda handler, question, asked: (
        handler.answer("fine") if question != "q0" or asked > 2 else handler.reply(503, "loading")
    )
    told: list[str] = []
    config = EndpointConfig(url=server.url, concurrency=2)
    with EndpointGenerator(config, sleep=lambda seconds: threading.Event().wait(0.05)) as endpoint:
        endpoint.generate(
            prompts(6),
            Sampling(),
            progress=lambda event: told.append(str(event.detail.get("trouble", ""))),
        )
    assert any("503" in line and "asking again" in line for line in told)


CUT = """
import sys
from residency.config.endpoint import EndpointConfig
from residency.http.endpoint_generator import EndpointGenerator
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

endpoint = EndpointGenerator(EndpointConfig(url=sys.argv[1], concurrency=2))
prompts = [Prompt((Message("user", f"q{at}"),)) for at in range(6)]
try:
    endpoint.generate(prompts, Sampling(), on_result=lambda at, got: print(got.text, flush=True))
except KeyboardInterrupt:
    print("cut", flush=True)
"""


def test_an_interrupt_does_not_wait_for_requests_in_flight(server: Fake) -> None:
    hold = threading.Event()
    server.act = lambda handler, question, asked: (
        handler.answer("fine") if question == "q0" else hold.wait(60) and None
    )
    with hear_signal(signal.SIGINT):
        child = subprocess.Popen(
            [sys.executable, "-c", CUT, server.url], stdout=subprocess.PIPE, text=True
        )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "fine\n"
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=30)[0] == "cut\n"
        assert time.monotonic() - began < 20
        assert child.returncode == 0
    finally:
        hold.set()
        child.kill()
        child.wait()


def test_a_malformed_key_is_refused_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-sec\nret")
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        EndpointGenerator(EndpointConfig(url="http://x/v1", key_env="MY_KEY"))
    assert "sec" not in str(caught.value)
    monkeypatch.setenv("MY_KEY", "sk-secret\n")  # export MY_KEY="$(cat file)" keeps no newline
    EndpointGenerator(EndpointConfig(url="http://x/v1", key_env="MY_KEY")).close()


@pytest.mark.parametrize(
    "url", ["localhost:8080/v1", "http://", "http://[x", "http://x:port", "ftp://x/v1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url"):  # by the setting's type, else by the client
        EndpointGenerator(EndpointConfig(url=url))


def test_a_full_address_is_taken_as_it_is(server: Fake) -> None:
    with client(server, url=f"{server.url}/chat/completions") as endpoint:
        assert endpoint.url == f"{server.url}/chat/completions"


def stream_lines(handler: Handler, lines: list[str], *, whole: bool) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.end_headers()
    for line in lines:
        handler.wfile.write(f"data: {line}\n\n".encode())
    if whole:
        handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True


def piece(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": None}]})


def test_a_stream_comes_in_pieces(server: Fake) -> None:
    server.act = lambda handler, question, asked: stream_lines(
        handler, [piece("he"), piece("llo")], whole=True
    )
    with client(server) as endpoint:
        assert list(endpoint.stream([Message("user", "hi")], Sampling())) == ["he", "llo"]


@pytest.mark.parametrize("last", [[], ["{not json"]])
def test_half_a_stream_is_an_error_after_what_came(server: Fake, last: list[str]) -> None:
    server.act = lambda handler, question, asked: stream_lines(
        handler, [piece("he"), *last], whole=False
    )
    got = []
    with client(server) as endpoint, pytest.raises(EndpointError, match="stream"):
        for text in endpoint.stream([Message("user", "hi")], Sampling()):
            got.append(text)
    assert got == ["he"]
