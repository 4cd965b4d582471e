"""Which step of a run is done: its name and what it was done for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StageName(StrEnum):
    """Steps of a run whose result is kept."""

    DATA = "data"
    EXPECTATIONS = "expectations"
    ISSUES = "issues"
    """Of a round."""
    PLAN = "plan"
    """Of a round: what it will be judged by, stored before its training."""
    TRAIN = "train"
    """Of a training's id."""
    ARMS = "arms"
    """Of a round: targeted against random rows, issue by issue."""
    OVERALL = "overall"
    """Of a round: the same over all issues that drew rows."""
    TARGET = "target"
    """Of a round."""
    STOP = "stop"
    """Of the last round: why the rounds ended."""
    TEST = "test"
    """Of the final model's id."""
    FORGETTING = "forgetting"
    COMPLETE = "complete"


@dataclass(frozen=True)
class StageKey:
    """A step's name with the round or the id that it belongs to, if any.

    ``str(key)`` is what stands in the store: ``data``, ``issues 2``, ``test m-1a2b…``.
    """

    name: StageName
    subject: str = ""

    @classmethod
    def of_round(cls, name: StageName, number: int) -> StageKey:
        """The key of a step that every round has."""
        return cls(name, str(number))

    @classmethod
    def parse(cls, text: str) -> StageKey:
        """The inverse of ``str``.

        Raises:
            ValueError: no step has this name.
        """
        name, _, subject = text.partition(" ")
        return cls(StageName(name), subject)

    @property
    def round(self) -> int:
        """The round of a step that every round has.

        Raises:
            ValueError: this step belongs to no round.
        """
        return int(self.subject)

    def __str__(self) -> str:
        return f"{self.name} {self.subject}" if self.subject else str(self.name)


@dataclass(frozen=True)
class FinishedStage:
    """A finished step: its seconds of wall time and when it ended (ISO 8601, UTC)."""

    key: StageKey
    seconds: float
    finished_at: str
