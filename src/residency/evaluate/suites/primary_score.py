"""The primary metric over many answers: its mean, its interval, and what could not be judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from residency.evaluate.suites.primary_metric import PrimaryMetric
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval
from residency.stats.sample_reducer import Reduce, reduce_outcomes

LEVEL = 0.95


@dataclass(frozen=True)
class PrimaryScore:
    """The primary metric of one model.

    Attributes:
        name, title: of the metric. mean: over the items that could be judged, None without one;
            low, high: its 95 % bootstrap interval over groups.
        floor: the mean if every item that could not be judged had failed.
        items: how many, those without an answer included; scored_items: of them, judged.
        by_example: each item's value, samples reduced to one; None: it could not be judged.
    """

    name: str
    title: str
    mean: float | None
    low: float
    high: float
    floor: float
    items: int
    scored_items: int
    by_example: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Share of the items that could be judged."""
        return self.scored_items / self.items if self.items else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the coverage."""
        return {**dataclasses.asdict(self), "coverage": self.coverage}


def measure_primary(
    metric: PrimaryMetric,
    findings: Sequence[Finding],
    examples: Sequence[Example],
    responses: Sequence[Response],
    *,
    reduce: Reduce = "majority",
) -> PrimaryScore:
    """One model's primary metric over these examples; an example without an answer is not judged."""
    by_response: dict[str, list[Finding]] = {response.id: [] for response in responses}
    for finding in findings:
        if finding.response in by_response:
            by_response[finding.response].append(finding)
    values: dict[str, list[float | None]] = {example.id: [] for example in examples}
    for response in responses:
        value = metric.score_answer(response, by_response[response.id])
        values.setdefault(response.example, []).append(value)
    by_example = {item: _reduce_values(samples, reduce) for item, samples in values.items()}
    scored = {item: value for item, value in by_example.items() if value is not None}
    groups = {example.id: example.group or example.id for example in examples}
    low, high = mean_interval(
        list(scored.values()), [groups.get(i, i) for i in scored], level=LEVEL
    )
    total = sum(scored.values())
    return PrimaryScore(
        name=metric.name,
        title=metric.title,
        mean=total / len(scored) if scored else None,
        low=max(low, 0.0) if scored else 0.0,
        high=min(high, 1.0) if scored else 1.0,
        floor=total / len(by_example) if by_example else 0.0,
        items=len(by_example),
        scored_items=len(scored),
        by_example=by_example,
    )


def _reduce_values(values: Sequence[float | None], how: Reduce) -> float | None:
    """One value of an item from its samples: outcomes are reduced, shares are averaged."""
    scored = [value for value in values if value is not None]
    if not scored:
        return None
    if all(value in (0.0, 1.0) for value in scored):
        return 0.0 if reduce_outcomes([value == 0.0 for value in scored], how) else 1.0
    return sum(scored) / len(scored)


def compare_primary(
    before: PrimaryScore | None, after: PrimaryScore | None, groups: Mapping[str, str]
) -> dict[str, Any] | None:
    """The paired change of the primary metric (after − before) over items judged on both sides.

    ``before`` and ``after`` are the means over just these items.
    ``worst`` is the change if every item that only one side could be judged on spoke against the
    later model, ``worst_low`` the lower end of its interval (``best``, ``best_high``: for it): a claim
    stands only where it holds there too. None without an item in common.
    """
    if before is None or after is None or before.name != after.name:
        return None
    pairs = {i: (before.by_example.get(i), after.by_example.get(i)) for i in after.by_example}
    pairs = {i: pair for i, pair in pairs.items() if pair != (None, None)}
    shared = {i: b - a for i, (a, b) in pairs.items() if a is not None and b is not None}
    if not shared:
        return None
    means = [sum(pairs[i][side] or 0.0 for i in shared) / len(shared) for side in (0, 1)]
    low, high = mean_interval(
        list(shared.values()), [groups.get(i, i) for i in shared], signed=True, level=LEVEL
    )
    places = [groups.get(i, i) for i in pairs]
    against = [(0.0 if b is None else b) - (1.0 if a is None else a) for a, b in pairs.values()]
    in_favour = [(1.0 if b is None else b) - (0.0 if a is None else a) for a, b in pairs.values()]
    return {
        "n": len(shared),
        "before": means[0],
        "after": means[1],
        "delta": sum(shared.values()) / len(shared),
        "low": max(low, -1.0),
        "high": min(high, 1.0),
        "one_sided": len(pairs) - len(shared),
        "worst": sum(against) / len(against),
        "best": sum(in_favour) / len(in_favour),
        "worst_low": max(mean_interval(against, places, signed=True, level=LEVEL)[0], -1.0),
        "best_high": min(mean_interval(in_favour, places, signed=True, level=LEVEL)[1], 1.0),
    }
