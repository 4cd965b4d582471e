"""The paired change of the mean score between two models on the same items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.evaluate.suites.scores import Scores
from residency.stats.intervals import mean_interval


def average_item_scores(scores: Scores) -> dict[str, float]:
    """Score of each item; items with nothing scored are left out."""
    return {item: value for item, value in scores.by_example.items() if value is not None}


def compare_scores(
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
    low, high = mean_interval(differences, [groups.get(e, e) for e in shared], signed=True)
    return {
        "n": len(shared),
        "delta": sum(differences) / len(differences),
        "low": max(low, -1.0),
        "high": min(high, 1.0),
    }
