"""Where others join the server: moderation of what comes in and goes out, and who hears of a request.

The server calls a moderator in a separate thread, never on the loop that answers clients, so it may
wait (for an endpoint, say). A moderator that raises refuses: what cannot be judged is not let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision


class InputModerator(Protocol):
    """Judges what a client asks, before the model sees it."""

    def moderate_input(self, messages: Sequence[Message]) -> ModerationDecision:
        """``refuse`` answers the client with an error; ``mask`` asks ``decision.messages`` instead.

        The prompt of ``/v1/completions`` and the texts of ``/v1/embeddings`` come as messages of a
        user, one a text.
        """
        ...


class OutputModerator(Protocol):
    """Judges what a model writes, before the client sees it."""

    stride: int
    """New characters after which a text that is still being written is judged again (from 1)."""
    may_change: bool
    """Whether a text may leave otherwise than it came. Where it may, log-probabilities are not given:
    they would show tokens before they are judged."""

    def moderate_output(self, text_so_far: str, final: bool) -> ModerationDecision:
        """Called with the whole text so far; nothing is sent but what ``decision.text`` releases.

        ``final``: the text is complete, and nothing may be held back any more. ``refuse`` ends the
        answer with ``finish_reason: content_filter``; what was released before has left, and
        ``decision.text`` may add to it what stands for the rest.
        """
        ...


@dataclass(frozen=True)
class RequestRecord:
    """One request that is over, however it ended.

    Attributes:
        id: as in the answer (``chatcmpl-…``). time: when it came, seconds since 1970.
        endpoint: its path. model: the name that the client sent; model_id: the stored model's id.
        status: HTTP status; 499 when the client went away first.
        queue_seconds: from its arrival until the model took it up. first_token_seconds: from its
            arrival to its first token; None where there was none. seconds: to its end.
        prompt_tokens, answer_tokens: all choices together. cached_tokens: of the prompt, those that
            the server had computed for an earlier request.
        finish: the finish reason of each choice. error: type and code of the error, no text of it.
        streamed: whether the answer went out in pieces.
        decisions: of moderation, in the order they were made; those that changed nothing (``allow``)
            of a text that was judged several times are left out but for the last.
        messages, answers: only where texts are switched on, else None.
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
    finish: tuple[str, ...] = ()
    error: str = ""
    streamed: bool = False
    decisions: tuple[ModerationDecision, ...] = ()
    messages: tuple[Message, ...] | None = None
    answers: tuple[str, ...] | None = None


class RequestObserver(Protocol):
    """Hears of every request that is over: a log, a counter."""

    def request_finished(self, record: RequestRecord) -> None:
        """Called once a request, in the order in which they end, from one thread that is not the
        server's loop. What it raises is logged by its type, and changes no answer."""
        ...

    def close(self) -> None:
        """The server has ended: write what is not written yet."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What a server was given. ``texts``: records hold messages and answers."""

    inputs: tuple[InputModerator, ...] = ()
    outputs: tuple[OutputModerator, ...] = ()
    observers: tuple[RequestObserver, ...] = ()
    texts: bool = field(default=False)
