"""Trainings of both arms, what they show on the sealed test, and the noise between trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from residency.results.change_figures import IssueArms
from residency.results.stored_figures import read_figures
from residency.stats.trainings_compared import TrainingsCompared


@dataclass(frozen=True)
class NoiseFloor:
    """How far two trainings differ on an issue's measured dev items (root mean square).

    ``seed``: two that differ in their seed alone; ``draw``: in seed and in the random rows drawn.
    None: not measured. ``trainings``: of each arm.
    """

    seed: float | None
    draw: float | None
    trainings: int

    @property
    def words(self) -> str:
        """In points: ``seed ±2.1, draw ±9.4``; nothing where it was not measured."""
        parts = (("seed", self.seed), ("draw", self.draw))
        return ", ".join(f"{name} ±{100 * value:.1f}" for name, value in parts if value is not None)


@dataclass(frozen=True)
class ArmsPlan:
    """Fixed before the trainings: how many of each arm, how many could show something, minutes.

    ``rows`` are those of each arm beside train.
    """

    round: int
    trainings: int
    needed: int
    minutes_each: float
    rows: dict[str, int]
    id: str = ""

    @property
    def minutes_more(self) -> float:
        """Minutes that the missing trainings would take; 0 where none is missing."""
        return max(0, self.needed - self.trainings) * self.minutes_each


@dataclass(frozen=True)
class ArmAnswer:
    """One question on the sealed test: random rows (before) against targeted rows (after).

    Rates, ``delta`` and ``p_value`` are those of the first training of each arm; ``data`` is the
    question about all of them, ``control`` and ``targeted`` their rates.
    """

    checks: int
    groups: int
    before: float
    after: float
    better: int
    worse: int
    delta: float
    low: float
    high: float
    p_value: float
    control: list[float]
    targeted: list[float]
    data: TrainingsCompared
    unscored: int = 0


@dataclass(frozen=True)
class Falls:
    """A fall on dev (first) and on the sealed test (second); p of “it fell alike”."""

    first: float
    second: float
    first_groups: int
    second_groups: int
    p_value: float
    adjusted_p: float = 1.0
    issue: str = ""

    @property
    def is_adapted(self) -> bool:
        """Whether it fell further on dev than chance explains, all issues counted."""
        return self.first > self.second and self.adjusted_p <= 0.05


@dataclass(frozen=True)
class ArmsTested:
    """The arms on the sealed test, the same on dev as a guide, and issue by issue."""

    round: int
    alpha: float
    aimed: list[str]
    questions: dict[str, ArmAnswer]
    guide: dict[str, ArmAnswer]
    issues: list[IssueArms]
    falls: Falls


def read_arms_tested(body: Mapping[str, Any]) -> ArmsTested:
    """From a stored body."""
    return ArmsTested(
        round=body["round"],
        alpha=body["alpha"],
        aimed=list(body["aimed"]),
        questions={name: _read_answer(answer) for name, answer in body["questions"].items()},
        guide={name: _read_answer(answer) for name, answer in body["guide"].items()},
        issues=[read_figures(IssueArms, row) for row in body["issues"]],
        falls=read_figures(Falls, {**body["falls"], "adjusted_p": body["falls"]["p_value"]}),
    )


def _read_answer(body: Mapping[str, Any]) -> ArmAnswer:
    return read_figures(ArmAnswer, {**body, "data": read_figures(TrainingsCompared, body["data"])})


def read_noise(body: Mapping[str, Any]) -> dict[str, NoiseFloor]:
    """The noise floor of each issue, from the stored trainings of the arms."""
    trainings = len(body["targeted"])
    return {row["issue"]: NoiseFloor(row["seed"], row["draw"], trainings) for row in body["noise"]}
