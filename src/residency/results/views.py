"""What tables and pages show: a model's column, an item before and after, an issue with its story."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.nouns.verdict import Verdict

Change = Literal["fixed", "broken", "still failing", "passing", "unscored"]


@dataclass(frozen=True)
class Arm:
    """One column of the table of rounds: a model, its figures on dev, and its training."""

    number: int
    arm: str
    label: str
    model: Model
    trained_rows: int
    seconds: float
    scores: dict[str, Any]
    training: dict[str, Any] | None
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def score(self) -> dict[str, Any]:
        """Mean score with its interval and coverage."""
        found: dict[str, Any] = self.scores["score"]
        return found


@dataclass(frozen=True)
class Sample:
    """One item under two models, with what an issue's detector said about each answer."""

    example: Example
    before: Response
    after: Response
    before_finding: Finding | None
    after_finding: Finding | None

    @property
    def change(self) -> Change:
        """What happened to the item between the two models."""
        before = self.before_finding.status if self.before_finding else "unscored"
        after = self.after_finding.status if self.after_finding else "unscored"
        if "unscored" in (before, after):
            return "unscored"
        if before == "fail":
            return "still failing" if after == "fail" else "fixed"
        return "broken" if after == "fail" else "passing"


@dataclass(frozen=True)
class IssueView:
    """An issue with all that is known about it.

    ``verdicts`` are those on dev by round, ``confirmed`` the one on the sealed test,
    ``expected`` what could be shown before training, ``arms`` the comparison of targeted with
    random rows by round, ``proposals`` the rows that it asked for. ``title`` names the detector too
    where two detectors found the same failure.
    """

    issue: Issue
    verdicts: list[Verdict]
    confirmed: Verdict | None
    expected: dict[str, Any] | None
    arms: dict[int, dict[str, Any]]
    proposals: list[Proposal]
    title: str

    @property
    def latest(self) -> Verdict | None:
        """The last verdict on dev."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def status(self) -> str:
        """The last status on dev; ``open`` before the first verdict."""
        return self.verdicts[-1].status if self.verdicts else "open"
