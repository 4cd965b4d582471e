"""``[serve]``: the server, and what is remembered of its requests."""

from __future__ import annotations

from pydantic import Field

from residency.config.section import Section


class ServeConfig(Section):
    """The server of `residency serve`, and what is remembered of its requests."""

    log_requests: bool = True
    """Remember each request in the store: time, model, tokens, seconds, status, moderation; no text of it."""
    keep_texts: bool = False
    """Remember what clients asked and models wrote, too, for `residency ingest DIR log`."""
    keep_days: int = Field(30, ge=1)
    """Days after which texts of requests and of feedback are deleted; their figures stay."""
    machine_price: float = Field(0.0, ge=0)
    """Price of the machine an hour, in your currency; for the cost of 1000 requests."""
