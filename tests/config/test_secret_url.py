"""An address that holds a secret shows, stores and says nothing of it."""

from __future__ import annotations

import copy
import json
import pickle
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency import secrets
from residency.config.secret_url import SecretUrl, reveal_url
from residency.config.settings import Config, parse_config
from residency.errors import ConfigError, DataError

PASSWORDS = ("MARKER1", "MAR@KER1", "MAR:KER1", "MAR/KER1", "MAR%40KER1", "MAR?KER1", "MAR#KER1",
             "MA@R:K/E?R1", "@MARKER1@", "MAR KER1", "MARKÉR1", "::MARKER1//")  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "address",
    [
        "postgresql://bob:{}@db/faq",
        "postgresql+psycopg://bob:{}@db:5432/faq?query=SELECT a FROM b WHERE c = 'x@y'",
        "http://user:{}@host/v1",
        "https://user:{}@host:8443/v1?a=b",
        "ray://user:{}@head:10001",
    ],
)
def test_a_password_is_masked_whatever_letters_it_holds(address: str, password: str) -> None:
    whole = address.format(password)
    url = SecretUrl(whole)
    for text in (str(url), f"{url}", repr(url), f"{url}", json.dumps({"u": url}), url + ""):
        assert not any(part in text for part in ("MAR", "KER1")), text
    assert "***" in url
    used = url.reveal()
    if address.startswith("http"):  # as programs read it: the password's signs are escaped
        parts = urlsplit(used)
        assert (parts.hostname, parts.path) == ("host", "/v1")
        assert parts.password is not None
        assert unquote(parts.password) == unquote(password)
    else:
        assert used == whole
    assert pickle.loads(pickle.dumps(url)).reveal() == used
    assert copy.deepcopy(url).reveal() == used


@pytest.mark.parametrize(
    "address",
    [
        "http://host/v1?api_key=MARKER&x=1",
        "http://host/v1?x=1&access_token=MARKER",
        "http://host/v1?X-Amz-Signature=MARKER",
        "http://host/v1?sig=MARKER",
        "http://host/v1#token=MARKER",
        "https://MARKER@host/v1",
        "postgresql:///faq?host=/run&password=MARKER&query=SELECT 1",
    ],
)
def test_keys_in_parameters_are_masked(address: str) -> None:
    assert "MARKER" not in SecretUrl(address)
    assert SecretUrl(address).reveal() == address


@pytest.mark.parametrize(
    "address",
    [
        "data/train.jsonl",
        "a@b:c.jsonl",
        "http://localhost:8080/v1",
        "http://[::1]:8080/v1",
        "postgresql://bob@db/faq",
        "hf://datasets/owner/name@main/train.parquet",
        "sqlite:///faq.db?query=SELECT a, b FROM c",
        "http://host/v1?mail=a@b",
        "postgresql://${USER}:${PASSWORD}@db/faq",
        "",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(address: str) -> None:
    assert SecretUrl(address) == address


def test_what_may_as_well_be_a_password_is_masked_and_used_as_it_is() -> None:
    url = SecretUrl("http://host:80/v1?mail=a@b")
    assert url == "http://host:***@b"
    assert url.reveal() == "http://host:80/v1?mail=a@b"


@given(st.text(max_size=60))
def test_masking_never_fails_and_is_done_once(text: str) -> None:
    url = SecretUrl(text)
    assert SecretUrl(str(url)) == url


@given(st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"]), min_size=1))
def test_no_password_survives_in_the_text(password: str) -> None:
    url = SecretUrl(f"postgresql://bob:{password}MARKER@db/faq")
    assert "MARKER" not in url


def test_references_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    url = SecretUrl("postgresql://${DB_USER}:${DB_PASSWORD}@db/faq")
    monkeypatch.setenv("DB_USER", "bob")
    with pytest.raises(ConfigError, match="DB_PASSWORD is not set"):
        url.reveal()
    monkeypatch.setenv("DB_PASSWORD", "p@ss-MARKER")
    assert url.reveal() == "postgresql://bob:p@ss-MARKER@db/faq"
    assert "MARKER" not in url
    assert reveal_url("data/${odd} name.jsonl") == "data/${odd} name.jsonl"


def test_what_was_revealed_is_hidden_in_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_in_messages", [])
    SecretUrl("postgresql://bob:s%40cret-MARKER@db/faq").reveal()
    for text in ("s%40cret-MARKER", "s@cret-MARKER", "s%2540cret-MARKER"):
        assert "MARKER" not in secrets.hide_secrets(f"authentication of {text} failed")
        assert "MARKER" not in str(DataError(f"said {text}", where=text, next_step=text))


def test_settings_keep_the_secret_and_write_the_mask() -> None:
    raw = {
        "project": {"store": "postgresql://bob:MARKER1@db/team"},
        "data": {"train": ["postgresql://bob:MARKER2@db/faq?query=SELECT 1", "a.jsonl"]},
        "judge": {"url": "http://user:MARKER3@host/v1?api_key=MARKER4"},
    }
    config = parse_config(raw)
    assert "MARKER" not in json.dumps(config.model_dump(mode="json"))
    assert "MARKER" not in repr(config)
    assert "MARKER" not in str(config.model_dump())
    assert config.judge.url.reveal().endswith("MARKER4")
    masked = Config.model_validate(config.model_dump(mode="json"))
    again = masked.with_secrets_of(config)
    assert again.project.store.reveal() == raw["project"]["store"]
    assert again.data.train[0].reveal() == raw["data"]["train"][0]


def test_a_wrong_setting_repeats_no_password() -> None:
    for raw in (
        {"judge": {"url": "ftp://user:MARKER@host"}},
        {"judge": {"url": ["http://user:MARKER@host"]}},
        {"data": {"format": ["postgresql://bob:MAR@KER@db"]}},
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config(raw)
        assert "MAR" not in str(caught.value)
