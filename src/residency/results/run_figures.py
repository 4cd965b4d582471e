"""Figures of a run: its rows, its base, its trainings, and what its detectors are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from residency.results.stored_figures import read_figures


@dataclass(frozen=True)
class ReplayEffect:
    """The final model against the same training without its general rows: two models.

    Attributes:
        model: the one without. rows, of: general rows, and those of the task beside them.
        differences: on the guard's questions, item by item. task: the paired change on dev of the
            metric that models are compared by; None where no item was judged in both.
    """

    model: str
    rows: int
    of: int
    differences: list[dict[str, Any]]
    task: dict[str, Any] | None = None


@dataclass(frozen=True)
class Forgetting:
    """The guard's benchmarks: base against final, and the loss that still counts as no forgetting."""

    margin: float
    differences: list[dict[str, Any]]
    replay: ReplayEffect | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Forgetting:
        """What the run stored."""
        replay = body.get("replay")
        figures = read_figures(cls, body)
        if replay is None:
            return figures
        return dataclasses.replace(figures, replay=read_figures(ReplayEffect, replay))


@dataclass(frozen=True)
class Training:
    """How a model was trained: counts of steps and tokens, seconds, loss in nats a token."""

    training: str
    adapter: str = ""
    steps: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    final_loss: float = float("nan")
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DetectorTrust:
    """A detector on n labelled answers: precision and recall with their bounds."""

    n: int
    precision: float | None = None
    precision_bounds: tuple[float, float] = (0.0, 1.0)
    recall: float | None = None
    recall_bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class BaseNote:
    """The base model: its name, identity (with checksum), and anything to know of it."""

    name: str = ""
    identity: str = ""
    note: str = ""


@dataclass(frozen=True)
class RunData:
    """What was read: rows by split, notes of the checks, unreadable rows, base, settings.

    ``shown`` holds training rows as pieces of text and whether each is trained.
    """

    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rejects: int = 0
    base: BaseNote = field(default_factory=BaseNote)
    settings: dict[str, Any] = field(default_factory=dict)
    shown: list[list[tuple[str, bool]]] = field(default_factory=list)
    detectors: dict[str, DetectorTrust] = field(default_factory=dict)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> RunData:
        """From a stored body."""
        plain = read_figures(cls, body)
        detectors = body.get("detectors", {})
        return dataclasses.replace(
            plain,
            base=read_figures(BaseNote, body.get("base", {})),
            detectors={
                name: read_figures(DetectorTrust, trust) for name, trust in detectors.items()
            },
        )
