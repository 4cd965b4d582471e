"""The paired change of the mean score between two models on the same items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residency.evaluate.suites.scores import Scores
from residency.stats.intervals import mean_interval
from residency.stats.sample_reducer import Check

_Checks = Mapping[Check, bool | None]


def compare_scores(
    before: Scores, after: Scores, groups: Mapping[str, str]
) -> dict[str, Any] | None:
    """Mean difference (after − before) over items scored in both, with its 95 % interval.

    Paired over groups, so that items which are hard for both models do not widen the interval.
    Beside it stands the *worst case*: of every check that was scored on one side alone, the later
    model is taken to fail and the earlier one to pass. Only what holds there as well is better:
    answers that stop coming make no model better. ``best`` is the reverse, for *worse*.
    ``one_sided`` counts those checks. None when no item was scored in both.
    """
    shared = [
        item
        for item, value in before.by_example.items()
        if value is not None and after.by_example.get(item) is not None
    ]
    if not shared:
        return None
    differences = [
        (after.by_example[item] or 0.0) - (before.by_example[item] or 0.0) for item in shared
    ]
    low, high = mean_interval(differences, [groups.get(e, e) for e in shared], signed=True)
    figures: dict[str, Any] = {
        "n": len(shared),
        "delta": sum(differences) / len(differences),
        "low": max(low, -1.0),
        "high": min(high, 1.0),
    }
    shared_items = [item for item in before.by_check if item in after.by_check]
    pairs = [(before.by_check[item], after.by_check[item]) for item in shared_items]
    one_sided = sum(_count_one_sided(*pair) for pair in pairs)
    if one_sided:
        figures["one_sided"] = one_sided
        for name, against in (("worst", True), ("best", False)):
            bound = [_difference(*pair, against) for pair in pairs]
            known = [
                (item, d) for item, d in zip(shared_items, bound, strict=True) if d is not None
            ]
            low, high = mean_interval(
                [d for _, d in known], [groups.get(item, item) for item, _ in known], signed=True
            )
            figures[name] = sum(d for _, d in known) / len(known)
            figures[f"{name}_low"], figures[f"{name}_high"] = max(low, -1.0), min(high, 1.0)
    return figures


def _count_one_sided(before: _Checks, after: _Checks) -> int:
    """Checks scored on one side alone."""
    checks = {*before, *after}
    return sum((before.get(check) is None) != (after.get(check) is None) for check in checks)


def _difference(before: _Checks, after: _Checks, against: bool) -> float | None:
    """How much more the later model passes, every check scored on one side alone against it.

    ``against`` False: in its favour. None where no check was scored on either side.
    """
    change = scored = 0
    for check in {*before, *after}:
        was, now = before.get(check), after.get(check)
        if was is None and now is None:
            continue
        scored += 1
        was = (not against) if was is None else was
        now = against if now is None else now
        change += int(was) - int(now)
    return change / scored if scored else None
