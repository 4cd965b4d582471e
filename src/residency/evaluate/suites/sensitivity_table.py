"""The sensitivity table: what a suite's primary metric makes of answers that are right or wrong on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from residency.nouns.short_view import ShortView

ProbeName = Literal["reference", "negated", "another", "empty", "canned"]
PROBES: dict[ProbeName, str] = {
    "reference": "the reference itself",
    "negated": "the reference with its statements turned around",
    "another": "another row's answer",
    "empty": "nothing",
    "canned": "one answer for all items",
}
BLIND = 0.5
"""From this value on, a wrong answer passes as a right one does."""


@dataclass(frozen=True)
class ProbeFigures:
    """One probe's figures: ``value`` is the primary metric's mean over ``scored`` of ``items``;
    ``rules`` the share that passes each rule, by detector; ``sample`` one of its answers."""

    name: ProbeName
    value: float | None
    items: int
    scored: int
    rules: dict[str, float] = field(default_factory=dict)
    sample: str = ""


@dataclass(frozen=True, repr=False)
class Sensitivity(ShortView):
    """The table: what a suite's primary metric makes of each probe."""

    suite: str
    metric: str
    items: int
    probes: tuple[ProbeFigures, ...]

    def probe(self, name: ProbeName) -> ProbeFigures | None:
        """One row; None where it could not be tried."""
        return next((probe for probe in self.probes if probe.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``read_sensitivity``."""
        return {
            "suite": self.suite,
            "metric": self.metric,
            "items": self.items,
            "probes": [asdict(probe) for probe in self.probes],
        }


def read_sensitivity(body: Mapping[str, Any]) -> Sensitivity:
    """The table from the store's JSON."""
    probes = tuple(ProbeFigures(**probe) for probe in body["probes"])
    return Sensitivity(str(body["suite"]), str(body["metric"]), int(body["items"]), probes)


def list_blind_spots(table: Sensitivity) -> list[ProbeFigures]:
    """Probes that are wrong answers and yet pass as right in half of the items or more."""
    out = []
    for name in ("negated", "another", "empty", "canned"):
        probe = table.probe(name)
        if probe is not None and probe.value is not None and probe.value >= BLIND:
            out.append(probe)
    return out
