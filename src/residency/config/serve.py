"""``[serve]``: the server, and what is remembered of its requests."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section
from residency.config.value_types import VariableName


class ServeConfig(Section):
    """The server of `residency serve`, and what is remembered of its requests."""

    key_env: VariableName = "RESIDENCY_SERVE_KEY"
    """Name of the environment variable that holds the key which clients send, or several with commas between them. Without a key the server listens to this machine alone."""
    slots: int = Field(16, ge=1, le=1024)
    """Answers written at one time."""
    queue: int = Field(64, ge=0, le=1 << 20)
    """Answers that may wait for a slot; a request beyond them is answered 429 with Retry-After."""
    max_tokens: int = Field(2048, ge=1)
    """Longest answer; a request that asks for more is refused. Where it asks for nothing, a chat answer may be this long."""
    max_choices: int = Field(8, ge=1, le=128)
    """Most answers to one request: its prompts times `n`."""
    max_body: int = Field(1_048_576, ge=1024)
    """Bytes of a request's body; a larger one is answered 413."""
    timeout: float = Field(600.0, gt=0, le=1_000_000)
    """Seconds for a whole request, the wait in the queue included."""
    drain: float = Field(30.0, ge=0, le=1_000_000)
    """Seconds that answers in hand may still take after SIGTERM or Ctrl-C; no new ones are taken."""
    connections: int = Field(1000, ge=1, le=1 << 20)
    """Connections at one time; more are answered 503."""
    models: int = Field(4, ge=1)
    """Trained models in memory at one time, beside the base."""
    cache_mb: int = Field(2048, ge=1)
    """Most memory for keys and values of answers in hand, in MB."""
    prompt_cache_mb: int = Field(512, ge=0)
    """Most memory for the beginnings of earlier conversations, in MB; 0: nothing is remembered."""
    log_requests: bool = True
    """Remember each request in the store: time, model, tokens, seconds, status, moderation; no text of it."""
    keep_texts: bool = False
    """Remember what clients asked and models wrote, too, for `residency ingest DIR log`."""
    keep_days: int = Field(30, ge=1, le=36_500)
    """Days after which texts of requests and of feedback are deleted; their figures stay."""
    machine_price: float = Field(0.0, ge=0)
    """Price of the machine an hour, in your currency; for the cost of 1000 requests."""
