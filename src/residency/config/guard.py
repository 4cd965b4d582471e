"""``[guard]``: a guard model behind a server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from residency.config.endpoint import LONGEST_WAIT, MOST_RETRIES, EndpointConfig


class GuardConfig(EndpointConfig):
    """A guard model that judges conversations (Llama Guard and its like), used by moderation."""

    style: Literal["chat", "moderations"] = "chat"
    """`chat`: a model that answers safe or unsafe (with categories S1, S2, …), or yes or no; `moderations`: OpenAI's `/moderations`."""
    failure: Literal["refuse", "allow"] = "refuse"
    """When the guard gives no verdict: `refuse` treats the text as seen by it (kind `guard unreachable`), `allow` lets it pass."""
    timeout: float = Field(20.0, gt=0, le=LONGEST_WAIT)
    """Seconds to wait for one verdict."""
    retries: int = Field(1, ge=0, le=MOST_RETRIES)
    """Times a question is sent again after a time-out, 429, 5xx or an unreadable verdict."""
