"""Figures that a run left behind, typed: read from the store's JSON, whatever version wrote it.

A field that an older version did not write keeps its default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar

Figures = TypeVar("Figures")

THIN_COVERAGE = 0.5
"""Below this share of scored answers a figure is drawn hatched or hollow."""


def read_figures(kind: type[Figures], body: Mapping[str, Any]) -> Figures:
    """The fields of a dataclass that a body has."""
    names = _name_fields(kind)  # type: ignore[arg-type]
    return kind(**{name: body[name] for name in names if name in body})


@cache
def _name_fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@dataclass(frozen=True)
class RateFigures:
    """How often a kind failed: failed / scored with its 95 % interval; coverage is scored / total."""

    rate: float | None
    low: float
    high: float
    failed: int
    scored: int
    total: int
    coverage: float

    @property
    def is_thin(self) -> bool:
        """Whether so little could be scored that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class ScoreFigures:
    """Mean share of checks passed with its 95 % interval; ``floor`` counts unscored as failed."""

    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    checks: int
    scored_checks: int
    coverage: float
    title: ClassVar[str] = "checks passed"

    @property
    def is_thin(self) -> bool:
        """Whether so little could be scored that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class PrimaryFigures:
    """The primary metric (``title`` in words) over the items that could be judged; ``floor`` counts
    the others as failed."""

    name: str
    title: str
    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    coverage: float

    @property
    def is_thin(self) -> bool:
        """Whether so little could be judged that the figure says little of the rest."""
        return self.coverage < THIN_COVERAGE


@dataclass(frozen=True)
class ClosedSetFigures:
    """Answers from a closed set: accuracy, macro-F1, and the accuracy of the most frequent class."""

    accuracy: float
    macro_f1: float
    majority: str
    majority_share: float
    items: int
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceFigures:
    """Score and rates over the items with one tag."""

    score: ScoreFigures
    kinds: dict[str, RateFigures]


@dataclass(frozen=True)
class ScoresFigures:
    """A model's figures on a split. ``by_item``: each answer's score by response id.

    ``primary`` is what models are compared by (None: written before there was one).
    """

    score: ScoreFigures
    kinds: dict[str, RateFigures]
    slices: dict[str, SliceFigures]
    by_item: dict[str, float | None]
    level: float = 0.95
    primary: PrimaryFigures | None = None
    closed_set: ClosedSetFigures | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ScoresFigures:
        """From a stored body."""
        primary, closed_set = body.get("primary"), body.get("closed_set")
        return cls(
            score=read_figures(ScoreFigures, body["score"]),
            kinds=_read_rates(body["kinds"]),
            slices={
                tag: SliceFigures(
                    read_figures(ScoreFigures, slice_body["score"]),
                    _read_rates(slice_body["kinds"]),
                )
                for tag, slice_body in body.get("slices", {}).items()
            },
            by_item=dict(body.get("by_item", {})),
            level=body.get("level", 0.95),
            primary=read_figures(PrimaryFigures, primary) if primary else None,
            closed_set=read_figures(ClosedSetFigures, closed_set) if closed_set else None,
        )


def _read_rates(body: Mapping[str, Any]) -> dict[str, RateFigures]:
    return {kind: read_figures(RateFigures, rate) for kind, rate in body.items()}


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


@dataclass(frozen=True)
class SealedSide:
    """One model on the sealed test, and how each kind changed from it to the final model."""

    label: str
    scores: ScoresFigures
    against_final: dict[str, KindChange]


@dataclass(frozen=True)
class SealedTest:
    """The sealed test: the final model against the best prompt (``reference``), sides by model id."""

    final: str
    reference: str
    score_change: ScoreChange | None
    sides: dict[str, SealedSide]
    primary_change: PrimaryChange | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> SealedTest:
        """From a stored body."""
        change, primary = body.get("score_change"), body.get("primary_change")
        return cls(
            final=body["final"],
            reference=body["reference"],
            score_change=read_figures(ScoreChange, change) if change else None,
            sides={
                model: SealedSide(
                    side["label"],
                    ScoresFigures.read(side["scores"]),
                    {
                        kind: read_figures(KindChange, row)
                        for kind, row in side["against_final"].items()
                    },
                )
                for model, side in body["sides"].items()
            },
            primary_change=read_figures(PrimaryChange, primary) if primary else None,
        )

    @property
    def ready(self) -> bool:
        """Whether both sides of the comparison are there."""
        return self.reference in self.sides and self.final in self.sides


@dataclass(frozen=True)
class Forgetting:
    """The guard's benchmarks: base against final, and the loss that still counts as no forgetting."""

    margin: float
    differences: list[dict[str, Any]]


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
