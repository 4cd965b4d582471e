"""``[endpoint]``, ``[judge]`` and ``[teacher]``: OpenAI-compatible servers."""

from __future__ import annotations

from pydantic import Field

from residency.config.secret_url import SecretUrl
from residency.config.section import Section
from residency.config.value_types import ServerAddress, VariableName

LONGEST_WAIT = 1_000_000
"""Seconds: longer waits are none that a socket can count."""
MOST_RETRIES = 1000


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint. Nothing is sent anywhere unless `url` is set."""

    url: ServerAddress = SecretUrl("")
    """Base URL, e.g. `http://localhost:8080/v1`; `${NAME}` in it is taken from the environment, and what is secret in it is never shown or stored."""
    model: str = ""
    """Model name sent to it."""
    key_env: VariableName = ""
    """Name of the environment variable that holds the API key."""
    concurrency: int = Field(4, ge=1, le=4096)
    """Requests in flight at one time."""
    timeout: float = Field(120.0, gt=0, le=LONGEST_WAIT)
    """Seconds that one answer may take, to its last byte. One that is shown as it comes may take ten times as long while text comes."""
    retries: int = Field(4, ge=0, le=MOST_RETRIES)
    """Times a request is sent again after a time-out, 429, 5xx or an unreadable answer."""
    structured: bool = True
    """Ask for JSON by a schema (`response_format`) where the answer has one: the judge's verdicts. A server that refuses is asked without."""
    prompt_price: float = Field(0.0, ge=0)
    """Price of a million prompt tokens, in your currency; for the record of costs."""
    cached_price: float | None = Field(None, ge=0)
    """Price of a million prompt tokens that the server had in its cache; empty: as `prompt_price`."""
    answer_price: float = Field(0.0, ge=0)
    """Price of a million generated tokens."""


class JudgeConfig(EndpointConfig):
    """The judge: an OpenAI-compatible endpoint, and how long its answers may be."""

    max_new_tokens: int = Field(200, ge=16)
    """Longest answer of the judge, its reasoning included; raise it for a model that reasons first."""
