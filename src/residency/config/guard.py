"""``[guard]``: a guard model behind a server."""

from __future__ import annotations

from typing import Literal

from residency.config.endpoint import EndpointConfig


class GuardConfig(EndpointConfig):
    """A guard model that judges conversations (Llama Guard and its like), used by moderation."""

    style: Literal["chat", "moderations"] = "chat"
    """`chat`: a model that answers safe or unsafe (with categories S1, S2, …), or yes or no; `moderations`: OpenAI's `/moderations`."""
    failure: Literal["refuse", "allow"] = "refuse"
    """When the guard gives no verdict: `refuse` treats the text as seen by it (kind `guard unreachable`), `allow` lets it pass."""
    timeout: float = 20.0
    """Seconds to wait for one verdict."""
    retries: int = 1
    """Times a question is sent again after a time-out, 429, 5xx or an unreadable verdict."""
