"""Which step of a run is done: its name and what it was done for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StageName(StrEnum):
    """Steps of a run whose result is stored."""

    DATA = "data"
    SENSITIVITY = "sensitivity"
    """What the suite passes and fails of right and wrong answers."""
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
    ROWS = "rows"
    """Of a round: what people had decided of its rows when it was trained."""
    ARMS_PLAN = "arms plan"
    """How many trainings an arm gets, and which questions they answer; stored before they are trained."""
    ARMS_TRAINED = "arms trained"
    """The trainings of both arms on dev, and how far two trainings differ on each issue."""
    ARMS_TESTED = "arms tested"
    """The arms on the sealed test: what was aimed at, and the rest."""
    FALLS = "falls"
    """Falls on dev against falls on the sealed test."""
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
        if text in set(StageName):  # names of two words have no subject
            return cls(StageName(text))
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
