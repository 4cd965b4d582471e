"""Secrets come back encoded, cut and in pieces; words that look like a weak password stay words."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency import secrets
from residency.cli.invoke import run_command_line
from residency.config.endpoint import EndpointConfig
from residency.config.secret_url import SecretUrl
from residency.config.settings import parse_config
from residency.errors import ConfigError, DataError, EndpointError
from residency.http.endpoint_client import EndpointClient, RefusedError, TryAgainError
from residency.http.endpoint_generator import EndpointGenerator
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

KEY = "MARKER-key/0123456789+abcdefghij=0123"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_in_messages", [])
    monkeypatch.setattr(secrets, "_in_data", [])


PASSWORD = st.text(min_size=8, max_size=40).filter(lambda text: not text.isdigit())


@given(PASSWORD, st.binary(max_size=7), st.binary(max_size=7))
def test_an_encoded_secret_is_hidden_wherever_it_stands(
    password: str, before: bytes, after: bytes
) -> None:
    """In base64 all is gone but the letters that hold bits of what stands beside it."""
    secrets.remember_secret(password)
    data = password.encode("utf-8", "surrogatepass")
    whole = base64.b64encode(before + data + after).decode()
    inner = whole[-(-len(before) * 8 // 6) : (len(before) + len(data)) * 8 // 6]
    for text in (whole, whole.replace("+", "-").replace("/", "_")):
        assert inner not in secrets.hide_secrets(text) or "***" in inner
    assert data.hex() not in secrets.hide_secrets(f"x{data.hex()}x")
    assert data.hex().upper() not in secrets.hide_secrets(f"x{data.hex().upper()}x")


@given(PASSWORD)
def test_an_escaped_secret_is_hidden(password: str) -> None:
    secrets.remember_secret(password)
    for form in (
        password,
        quote(password, errors="surrogatepass"),
        quote(password, safe="", errors="surrogatepass"),
        quote_plus(password, errors="surrogatepass"),
        json.dumps(password)[1:-1],
        html.escape(password),
        repr(password)[1:-1],
    ):
        said = secrets.hide_secrets(f"refused: {form}.")
        assert said == "refused: ***." or form not in said


@given(st.lists(st.integers(1, 40), max_size=30), st.sampled_from([KEY, f"a{KEY}{KEY}b", "none"]))
def test_a_secret_in_pieces_is_hidden_and_no_letter_is_lost(sizes: list[int], text: str) -> None:
    secrets.remember_secret(KEY)
    hider, shown, at = secrets.StreamedSecrets(), [], 0
    for size in [*sizes, len(text)]:
        shown.append(hider.feed(text[at : at + size]))
        at += size
    shown.append(hider.flush())
    assert "".join(shown) == text.replace(KEY, "***")


@pytest.mark.parametrize("password", ["pass", "test", "1234", "12.5", "Admin", "a1", "reason"])
def test_a_password_that_is_a_word_spoils_no_answer_and_no_figure(password: str) -> None:
    """``http://user:pass@host``: the judge's verdict *pass* stays one."""
    SecretUrl(f"http://user:{password}@host/v1").reveal()
    verdict = json.dumps({"reason": f"12.5 of 1234: {password}", "verdict": password})
    choice = {"message": {"content": verdict}, "finish_reason": "stop"}
    asked = ask(lambda _: httpx.Response(200, json={"choices": [choice]}))
    assert asked == verdict
    assert secrets.hide_secrets_in_data('{"test": 12.51234}') == '{"test": 12.51234}'
    if len(password) >= secrets.SHORTEST:
        assert password not in str(DataError(f"no entry for {password}"))


def make_config(**more: object) -> EndpointConfig:
    return EndpointConfig.model_validate(
        {"url": "http://127.0.0.1:1/v1", "model": "m", "key_env": "PLANTED", "retries": 0, **more}
    )


def ask(handle: Callable[[httpx.Request], httpx.Response]) -> str:
    config = make_config(key_env="")
    generator = EndpointGenerator(config, transport=httpx.MockTransport(handle))
    prompt = Prompt((Message("user", "hello"),))
    return next(iter(generator.generate([prompt], Sampling(max_new_tokens=4)))).text


@pytest.mark.parametrize("code", [400, 401, 500, 200])
@pytest.mark.parametrize("room", range(160, 201, 5))
def test_a_key_is_hidden_before_a_message_is_cut(
    code: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", KEY)

    def refuse(request: httpx.Request) -> httpx.Response:
        said = f"{'x' * room} {request.headers['authorization']}"
        form = {"content": said} if code == 200 else {"json": {"error": {"message": said}}}
        return httpx.Response(code, **form)  # type: ignore[arg-type]

    client = EndpointClient(
        make_config(), "/chat/completions", transport=httpx.MockTransport(refuse)
    )
    with pytest.raises((EndpointError, RefusedError, TryAgainError)) as caught:
        client.post({})
    assert "MARK" not in f"{caught.value} {getattr(caught.value, 'what', '')}"


def test_the_password_of_an_address_is_hidden_as_it_is_sent() -> None:
    """A browser's form of name and password: both in base64."""
    heard = []

    def refuse(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["authorization"])
        return httpx.Response(401, json={"error": {"message": f"no: {heard[-1]}"}})

    config = make_config(url="http://user:MARKER-p%40ss@127.0.0.1:1/v1", key_env="")
    client = EndpointClient(config, "/chat/completions", transport=httpx.MockTransport(refuse))
    with pytest.raises(EndpointError) as caught:
        client.post({})
    sent = heard[0].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"user:MARKER-p@ss"
    assert not any(sent[at : at + 8] in str(caught.value) for at in range(8, len(sent) - 8))


def test_a_streamed_answer_repeats_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", KEY)

    def stream(request: httpx.Request) -> httpx.Response:
        said = f"You sent {request.headers['authorization']}, thank you"
        events = [{"choices": [{"delta": {"content": letter}}]} for letter in said]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})

    generator = EndpointGenerator(make_config(), transport=httpx.MockTransport(stream))
    pieces = list(generator.stream([Message("user", "hi")], Sampling(max_new_tokens=9)))
    assert "".join(pieces) == "You sent Bearer ***, thank you"
    assert len(pieces) > 10  # it still comes in pieces


@pytest.mark.parametrize("cut", [slice(0, 20), slice(0, -1), slice(-18, None)])
def test_a_long_piece_of_a_key_is_hidden_too(cut: slice) -> None:
    secrets.remember_secret(KEY)
    assert "MARKER" not in secrets.hide_secrets(f"wrong key {KEY[cut]}…")
    assert "ghij=0123" not in secrets.hide_secrets(f"wrong key {KEY[cut]}…")


@pytest.mark.parametrize(
    "query",
    [
        "code=MARKER", "jwt=MARKER", "sas=MARKER", "session=MARKER", "hmac=MARKER", "pat=MARKER",
        "%6Bey=MARKER", "api%5Fk%65y=MARKER", "a=b;key=MARKER", "key=MAR;KER", "x=MARKER0123456789abcdef",
        "id=0f8fad5b-d9cb-469f-a165-70867728950e&SharedAccessSignature=MARKER",
    ],
)  # fmt: skip
def test_keys_under_odd_names_are_masked(query: str) -> None:
    url = SecretUrl(f"https://host/v1?api-version=2024-10-21&{query}&model=gpt-4o-2024-08-06")
    assert "MAR" not in url
    assert "KER" not in url
    assert "api-version=2024-10-21" in url
    assert url.endswith("model=gpt-4o-2024-08-06")


@pytest.mark.parametrize(
    "address",
    [
        "user:MARKER@host/v1", "//user:MARKER@host/v1", "host:8000/v1?api_key=MARKER", "MARKER@host",
        "http:/user:MARKER@host", "http:\\\\user:MARKER@host", "jdbc:postgresql://bob:MARKER@db/faq",
        "1http://u:MAR@KER@host",
    ],
)  # fmt: skip
def test_an_address_without_its_scheme_is_refused_and_not_repeated(address: str) -> None:
    for raw in (
        {"judge": {"url": address}},
        {"data": {"cluster": address}},
        {"model": {"device": address}},
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config(raw)
        assert "MAR" not in str(caught.value)


def test_what_libraries_read_of_the_environment_is_hidden(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "HTTPS_PROXY": "http://bob:MARKER-proxy1@proxy:8080",
        "all_proxy": "bob:MARKER-proxy2@proxy:8080",
        "AWS_SECRET_ACCESS_KEY": "MARKER/aws+key",
        "AZURE_OPENAI_API_KEY": "MARKER-azure-key",
        "PGPASSWORD": "MARKER-pg",
    }.items():
        monkeypatch.setenv(name, value)
    run_command_line(["--help"])
    for secret in ("proxy1", "proxy2", "/aws+key", "-azure-key", "-pg"):
        said = str(DataError(f"no: MARKER-{secret}" if secret[0] == "p" else f"no: MARKER{secret}"))
        assert "MARKER" not in said
    assert "MARKER" not in "".join(capfd.readouterr())
