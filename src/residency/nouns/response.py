"""What one model wrote for one example, and how it was sampled."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from residency.nouns.content_id import content_id
from residency.nouns.short_view import ShortView


@dataclass(frozen=True)
class Sampling:
    """How text is generated. Greedy at temperature 0.

    Each item is sampled with a separate seed (from ``seed``, the item and the sample number),
    so the batch does not change the result.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0
    model_settings: str = ""
    """Key of the model's generation settings, where they change its answers."""
    precision: str = "fp32"
    """Number format of the products, where a local model answers."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able. What was added later is left out at its default: stored answers keep their names."""
        values = {**dataclasses.asdict(self), "stop": list(self.stop)}
        if not self.model_settings:
            del values["model_settings"]
        if self.precision == "fp32":
            del values["precision"]
        return values


FinishReason = Literal["stop", "length", "error"]


@dataclass(frozen=True, repr=False)
class Response(ShortView):
    """What one model wrote for one example.

    Attributes:
        model: model id. example: example id. sample: 0-based number of the sample.
        token_ids: generated ids, the end token included when it was produced.
        finish: ``"stop"`` (end token or stop string), ``"length"`` (budget spent) or ``"error"``.
        logprob: sum of the log-probabilities of ``token_ids`` (nats), when known.
        seconds: wall time attributed to it. prompt_tokens: length of the prompt.
        error: the endpoint's message when ``finish`` is ``"error"``.
    """

    model: str
    example: str
    text: str
    token_ids: tuple[int, ...] = ()
    finish: FinishReason = "stop"
    sample: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    logprob: float | None = None
    prompt_tokens: int = 0
    seconds: float = 0.0
    error: str = ""

    @cached_property
    def id(self) -> str:
        """Content hash of who answered what, how, and the text."""
        return content_id(
            "r",
            {
                "model": self.model,
                "example": self.example,
                "sample": self.sample,
                "sampling": self.sampling.to_dict(),
                "text": self.text,
            },
        )
