"""Figures of two sides on the same items: what changed, and what could be told before training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedFigures:
    """Two sides on the same n items: failure rates, items fixed and broken, and their balance.

    ``delta`` = (fixed − broken) / n with its uncorrected 95 % interval; ``p_value`` is exact.
    """

    n: int
    unscored: int
    before_rate: float
    after_rate: float
    fixed: int
    broken: int
    delta: float
    low: float
    high: float
    p_value: float
    e_value: float


@dataclass(frozen=True)
class KindChange(PairedFigures):
    """A kind of failure on the sealed test, against the final model.

    ``status`` is the verdict with all that was tested counted; empty where none was given.
    """

    status: str = ""


@dataclass(frozen=True)
class IssueArms(PairedFigures):
    """An issue with random rows (before) and with targeted rows (after)."""

    issue: str = ""


@dataclass(frozen=True)
class ArmsTogether:
    """Targeted against random rows over all issues that drew rows, as one question.

    ``adjusted_p``: each issue's p with all issues counted. ``data`` says what may be said of the
    data; all else speaks of these two models.
    """

    groups: int
    better: int
    worse: int
    p_value: float
    delta: float
    low: float
    high: float
    adjusted_p: dict[str, float]
    data: str = ""


@dataclass(frozen=True)
class Expectation:
    """Told before training: an issue's measured items, their rate, and the smallest visible fall."""

    issue: str
    n: int
    rate: float
    mde: float | None


@dataclass(frozen=True)
class ScoreChange:
    """Mean difference of the item scores (after − before) on n items, with its 95 % interval.

    ``one_sided`` checks could be scored on one side alone. ``worst`` and ``best`` are the change if
    all of them spoke against, or for, the later model, with the interval's end that matters.
    """

    n: int
    delta: float
    low: float
    high: float
    one_sided: int = 0
    worst: float = 0.0
    best: float = 0.0
    worst_low: float | None = None
    best_high: float | None = None

    @property
    def is_better(self) -> bool:
        """Above zero, also if every check that is missing on one side spoke against it."""
        return self.low > 0 and (self.worst_low is None or self.worst_low > 0)

    @property
    def is_worse(self) -> bool:
        """Below zero, also if every check that is missing on one side spoke for it."""
        return self.high < 0 and (self.best_high is None or self.best_high < 0)


@dataclass(frozen=True)
class PrimaryChange(ScoreChange):
    """The change of the primary metric on the items judged on both sides.

    ``one_sided`` items could be judged on one side alone; ``worst`` and ``best`` are the change if
    all of them spoke against, or for, the later model. ``before`` and ``after`` are the means over
    the items judged on both sides; None in runs that did not store them.
    """

    one_sided: int = 0
    worst: float = 0.0
    best: float = 0.0
    before: float | None = None
    after: float | None = None
