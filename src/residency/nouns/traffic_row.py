"""One conversation that came back from use: unlabelled, with where it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.response import Response


@dataclass(frozen=True)
class TrafficRow:
    """A question of production, and what was answered. It belongs to no split.

    Attributes:
        example: the prompt alone; its ``why`` is ``traffic``. response: what the model wrote then.
        source: file and line, or the request's id.
        time: when it happened, seconds since 1970; 0 where nobody knows.
        thumb, better, reason: what a person said of it, where one did.
        failures: kinds that detectors without a reference saw. novelty: distance to the nearest
            dev prompt (1 − cosine); None until it was compared.
        expires: when its text has to be deleted; None: never.
    """

    example: Example
    response: Response
    source: str
    time: float = 0.0
    thumb: str = ""
    better: str = ""
    reason: str = ""
    failures: tuple[str, ...] = ()
    severity: float = 0.0
    novelty: float | None = None
    expires: float | None = None

    @cached_property
    def id(self) -> str:
        """Content hash of question, answer and model: the same log read twice is one row."""
        return content_id("tr", [self.example.id, self.response.text, self.response.model])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``."""
        return {
            "example": self.example.to_dict(),
            "model": self.response.model,
            "answer": self.response.text,
            "finish": self.response.finish,
            "source": self.source,
            "time": self.time,
            "thumb": self.thumb,
            "better": self.better,
            "reason": self.reason,
            "failures": list(self.failures),
            "severity": self.severity,
            "novelty": self.novelty,
            "expires": self.expires,
        }

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> TrafficRow:
        """The inverse of ``to_dict``."""
        example = Example.from_dict(raw["example"])
        response = Response(raw["model"], example.id, raw["answer"], finish=raw["finish"])
        fields = ("source", "time", "thumb", "better", "reason", "severity", "novelty", "expires")
        row = TrafficRow(example, response, **{name: raw[name] for name in fields})
        return replace(row, failures=tuple(raw["failures"]))
