"""A guard model behind an OpenAI-compatible server: Llama Guard and its like, or ``/moderations``.

Nothing is sent unless ``guard.url`` is set. What is sent is the conversation itself: a guard on another
machine reads what clients write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from residency.config.guard import GuardConfig
from residency.config.moderation import JudgeGroup
from residency.errors import EndpointError
from residency.http.chat_completions import BrokenCompletionError, build_request, read_completion
from residency.http.endpoint_client import (
    EndpointClient,
    RefusedError,
    TryAgainError,
    choose_pause,
)
from residency.interfaces import Prompt
from residency.moderation.judge import Hit
from residency.moderation.read_verdict import read_moderation, read_words
from residency.nouns.example import Message
from residency.nouns.response import Sampling

ROUTES = {"chat": "/chat/completions", "moderations": "/moderations"}
UNREACHED = "guard unreachable"
"""The kind of hit where the guard gave no verdict."""
_LONGEST = 128
"""Tokens of a verdict with its categories."""
_NOT_SHOWN = "(the question is not shown)"


class EndpointGuard:
    """Asks the guard about the last message of a conversation.

    Args:
        transport: how httpx reaches the server (tests put a fake one here).
        sleep: waits between attempts.

    Raises:
        ConfigError: no URL, or the key's environment variable is not set.
    """

    group: JudgeGroup = "guard"

    def __init__(
        self,
        config: GuardConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._config = config
        self._client = EndpointClient(
            config, ROUTES[config.style], transport=transport, sleep=sleep
        )
        self.version = f"guard {config.model or 'default'}"

    def judge(self, messages: Sequence[Message]) -> list[Hit]:
        """A hit for each category; one of the kind ``guard unreachable`` where there is no verdict."""
        length = len(messages[-1].text)
        try:
            categories = self._ask(messages)
        except EndpointError:
            if self._config.failure == "allow":
                return []
            return [Hit(UNREACHED, "guard", 0, length)]
        return [Hit(f"guard {name}", "guard", 0, length) for name in categories]

    def check(self) -> None:
        """Ask for a verdict on a harmless word.

        Raises:
            EndpointError: none came.
        """
        self._ask([Message("user", "Hello")])

    def _ask(self, messages: Sequence[Message]) -> list[str]:
        """Categories that the guard names.

        Raises:
            EndpointError: no verdict came, after the retries of the settings.
        """
        body = self._build_body(messages)
        trouble = ""
        for attempt in range(self._config.retries + 1):
            if attempt:
                self._client.sleep(choose_pause(attempt - 1, None))
            try:
                return self._read_verdict(self._client.post(body))
            except TryAgainError as error:
                trouble = error.what
            except RefusedError as error:
                raise self._client.make_error(error.what) from None
            except (BrokenCompletionError, ValueError, KeyError, IndexError, TypeError) as error:
                trouble = f"no verdict can be read in the answer ({type(error).__name__})"
            except AttributeError:
                trouble = "the answer is of another kind"
        raise self._client.make_error(trouble)

    def _build_body(self, messages: Sequence[Message]) -> Mapping[str, Any]:
        if self._config.style == "moderations":
            body: dict[str, Any] = {"input": messages[-1].text}
            return body | ({"model": self._config.model} if self._config.model else {})
        turns = [Message(m.role, m.text) for m in messages if m.role in ("user", "assistant")]
        turns = turns or [Message("user", messages[-1].text)]
        if turns[0].role == "assistant":
            turns.insert(0, Message("user", _NOT_SHOWN))
        return build_request(
            self._config.model, Prompt(tuple(turns)), Sampling(max_new_tokens=_LONGEST)
        )

    def _read_verdict(self, raw: Any) -> list[str]:
        if self._config.style == "moderations":
            return read_moderation(raw)
        return read_words(read_completion(raw).generation.text)
