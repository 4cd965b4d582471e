"""What rooms hand to one another while they work: requests, answers, progress, and the protocols of
generators, scorers and embedders. None of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from residency.nouns.example import Message
from residency.nouns.response import FinishReason, Sampling


@dataclass(frozen=True)
class TokenRow:
    """One training row as ids: what data hands to training.

    ``mask`` is True where a token is trained. ``rejected_ids`` and ``rejected_mask`` hold the
    worse conversation of a preference pair (DPO). ``example`` is the example's id.
    """

    example: str
    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    weight: float = 1.0
    rejected_ids: tuple[int, ...] = ()
    rejected_mask: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A request to a generator: a conversation, and a key that fixes its sampling seed.

    ``draft`` may hold token ids of an earlier answer to the same prompt; it never changes
    the result, only the speed. ``schema`` is the JSON schema of the answer that is asked for:
    an endpoint is told it, the local engine does not constrain what it writes.
    """

    messages: tuple[Message, ...]
    key: str = ""
    sample: int = 0
    draft: tuple[int, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Generation:
    """A generator's answer to one Prompt (fields as in ``Response``)."""

    text: str
    token_ids: tuple[int, ...] = ()
    finish: FinishReason = "stop"
    logprob: float | None = None
    prompt_tokens: int = 0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Choice:
    """One log-likelihood request: ``context`` then ``continuation``, as text."""

    context: str
    continuation: str


@dataclass(frozen=True)
class TextRequest:
    """Text to go on from, as it is and with no chat template.

    ``stop``: texts that end what is written, and are no part of it. ``max_tokens``: its most tokens.
    """

    prompt: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 256


@dataclass(frozen=True)
class ChoiceScore:
    """Sum of log p of the continuation's tokens (nats), its token count, and whether it is argmax."""

    logprob: float
    tokens: int
    greedy: bool


@dataclass(frozen=True)
class ProgressEvent:
    """How far a stage is. ``detail`` holds figures to show (loss, tokens/s)."""

    stage: str
    done: int
    total: int
    unit: str = "items"
    detail: Mapping[str, float | str] = field(default_factory=dict)


Progress = Callable[[ProgressEvent], None]

WHOLE_RUN = "whole run"
"""The stage under which a run tells how far all of it is; ``now`` and ``left`` are in its detail."""


def no_progress(event: ProgressEvent) -> None:
    """The default progress callback: silence."""


class Generator(Protocol):
    """Anything that answers prompts: the local engine, an endpoint, a test double."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """Answers in the order of ``prompts``; ``on_result`` is called as each one ends."""
        ...


class Scorer(Protocol):
    """Anything that gives log-likelihoods of continuations."""

    def score(
        self, requests: Sequence[Sequence[Choice]], *, progress: Progress = no_progress
    ) -> list[list[ChoiceScore]]:
        """One list of choices an item (they often share a context); the same nesting back."""
        ...


class TextModel(Scorer, Protocol):
    """A scorer that also goes on from raw text, and knows how likely whole texts are."""

    def complete(
        self, requests: Sequence[TextRequest], *, progress: Progress = no_progress
    ) -> list[str]:
        """What the model writes, its likeliest tokens, in the order of ``requests``."""
        ...

    def score_texts(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[float]:
        """log p of every token of each text (nats), in windows of the model's context."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors, float32, shape (texts, dimensions)."""

    name: str

    def embed(self, texts: Sequence[str]) -> Any:
        """Rows have length 1 (or 0 for an empty text)."""
        ...
