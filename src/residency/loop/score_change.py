"""The paired change of the mean score between two models on the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.evaluate.suites.scores import Scores
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval


def item_scores(scores: Scores, responses: Sequence[Response]) -> dict[str, float]:
    """Mean score of each example's answers; examples with nothing scored are left out."""
    found: dict[str, list[float]] = {}
    for response in responses:
        value = scores.by_item.get(response.id)
        if value is not None:
            found.setdefault(response.example, []).append(value)
    return {example: sum(values) / len(values) for example, values in found.items()}


def score_change(
    before: Mapping[str, float], after: Mapping[str, float], groups: Mapping[str, str]
) -> dict[str, Any] | None:
    """Mean difference (after − before) over items scored in both, with its 95 % interval.

    The interval is a percentile bootstrap of the paired differences over groups, so that items
    which are hard for both models do not widen it. None when no item was scored in both.
    """
    shared = [example for example in before if example in after]
    if not shared:
        return None
    differences = [after[example] - before[example] for example in shared]
    low, high = mean_interval(differences, [groups.get(e, e) for e in shared])
    return {
        "n": len(shared),
        "delta": sum(differences) / len(differences),
        "low": max(low, -1.0),
        "high": min(high, 1.0),
    }
