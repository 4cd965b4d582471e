"""What is remembered of a served request: figures, what moderation did, what people said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from residency.nouns.example import Message
from residency.nouns.short_view import ShortView

Thumb = Literal["up", "down", ""]


@dataclass(frozen=True)
class ModerationEvent:
    """One kind that moderation saw in a request. ``side``: input or output. ``judges``: versions."""

    side: str
    kind: str
    action: str
    judges: str
    seconds: float


@dataclass(frozen=True, repr=False)
class ServedRequest(ShortView):
    """One request that is over. No text of it stands here.

    Attributes:
        time: when it came, seconds since 1970. endpoint: its path. model: the name that the client
            sent. model_id: the stored model. status: of HTTP; 499 when the client went away.
        queue_seconds, first_token_seconds, seconds: from its arrival until it was taken up, its first
            token (None: there was none), its end.
        cached_tokens: of the prompt, those computed for an earlier request.
        finish: finish reasons, joined by commas. error: type and code.
    """

    id: str
    time: float
    endpoint: str
    model: str
    model_id: str
    status: int
    queue_seconds: float = 0.0
    first_token_seconds: float | None = None
    seconds: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cached_tokens: int = 0
    finish: str = ""
    error: str = ""
    streamed: bool = False
    moderation: tuple[ModerationEvent, ...] = ()


@dataclass(frozen=True)
class RequestText:
    """Prompt and answers, where texts are remembered."""

    request: str
    time: float
    model: str
    messages: tuple[Message, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Feedback:
    """What a person said of a request's answer. ``answer`` is a better one."""

    request: str
    time: float
    thumb: Thumb = ""
    answer: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ServerTime:
    """A server's life: seconds since 1970; ``ended`` is None while it runs, and after a kill."""

    id: str
    started: float
    seen: float
    ended: float | None = None

    @property
    def last(self) -> float:
        """The last moment at which it is known to have run."""
        return self.seen if self.ended is None else self.ended
