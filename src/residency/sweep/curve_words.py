"""What a learning curve says, in words."""

from __future__ import annotations

import math

from residency.sweep.learning_curve import REACH, LearningCurve, Prediction
from residency.text.percent import write_percent

POINT = 0.01
MISSED = 0.05
"""From this distance on, it is told that the curve does not go through what was measured last."""


def describe_issue(title: str, curve: LearningCurve, tolerance: float) -> list[str]:
    """Sentences on one issue: whether and where it reaches its tolerance, what twice the rows do."""
    return [
        _describe_goal(title, curve, tolerance),
        describe_doubling(title, curve),
    ]


def describe_score(title: str, curve: LearningCurve) -> list[str]:
    """Sentences on the primary metric, whose curve is of what is missing to 100 %."""
    now, then = curve.measured[-1], curve.at(2 * curve.largest)
    change = curve.change(2 * curve.largest)
    sentence = f"*{title}*: {_rise(now)} with {curve.largest} rows"
    if max(abs(change.low), abs(change.high)) < POINT:
        return [
            f"{sentence}; twice the rows change it by less than a point: the rows are not what it lacks."
        ]
    return [f"{sentence}; twice as many: {_rise(then)}{_doubt(change)}{_miss(curve, rising=True)}."]


def describe_doubling(title: str, curve: LearningCurve) -> str:
    """What twice the rows do to an issue."""
    change, then = curve.change(2 * curve.largest), curve.at(2 * curve.largest)
    if max(abs(change.low), abs(change.high)) < POINT:
        return (
            f"Twice the rows change *{title}* by less than a point: the rows are not what it lacks."
        )
    now = curve.measured[-1]
    return (
        f"Twice the rows ({2 * curve.largest}): {write_percent(now.rate, 0)} → {_share(then)}"
        f"{_doubt(change)}{_miss(curve)}."
    )


def name_rows_needed(curve: LearningCurve, tolerance: float) -> str:
    """About how many rows bring an issue to its tolerance, in a few words for a table."""
    median, low, high = curve.rows_until(tolerance)
    if curve.measured[-1].high <= tolerance:
        return "under it already"
    if math.isinf(median):
        limit = f"not within {int(curve.largest * REACH)}"
        return limit if math.isinf(low) else f"{limit}, perhaps from {_round(low)} on"
    return f"about {_round(median)} {_bracket(curve, low, high)}"


def _bracket(curve: LearningCurve, low: float, high: float) -> str:
    smallest = curve.measured[0].rows
    top = f"over {int(curve.largest * REACH)}" if math.isinf(high) else str(_round(high))
    bottom = f"under {smallest}" if low <= smallest else str(_round(low))
    return f"[{bottom}, {top}]"


def _miss(curve: LearningCurve, *, rising: bool = False) -> str:
    """That the curve passes the largest size elsewhere: what it predicts begins there."""
    passed = curve.at(curve.largest).rate
    if abs(passed - curve.measured[-1].rate) < MISSED:
        return ""
    share = write_percent(1 - passed if rising else passed, 0)
    return f"; the curve passes {curve.largest} rows at {share}"


def _doubt(change: Prediction) -> str:
    """Whether the change is more than its interval allows for."""
    if change.low <= 0 <= change.high:
        return ", which may be no change at all"
    return ""


def _describe_goal(title: str, curve: LearningCurve, tolerance: float) -> str:
    median, low, high = curve.rows_until(tolerance)
    goal, last = write_percent(tolerance, 0), curve.measured[-1]
    limit = int(curve.largest * REACH)
    smallest = curve.measured[0].rows
    if last.high <= tolerance:
        since = f"at most {smallest}" if median <= smallest else f"about {_round(median)}"
        return f"*{title}* is under {goal} already: {_share(last)} with {last.rows} rows; {since} rows do."
    if math.isinf(median):
        end = curve.at(limit)
        chance = "" if math.isinf(low) else f" (it may, from {_round(low)} rows on)"
        return (
            f"*{title}* does not come down to {goal} within {limit} rows, as far as this sees"
            f"{chance}: {_share(last)} with {last.rows}, {_share(end)} there."
        )
    sentence = (
        f"*{title}* reaches {goal} at about {_round(median)} rows {_bracket(curve, low, high)}"
    )
    if (
        last.rate > tolerance and median <= last.rows
    ):  # the curve goes through all sizes, not this one
        return (
            f"{sentence} by the curve, though with {last.rows} rows {_share(last)} were measured."
        )
    return f"{sentence}."


def _round(rows: float) -> int:
    """Two significant digits: more would be pretence."""
    if rows <= 0:
        return 0
    step = 10 ** max(0, math.floor(math.log10(rows)) - 1)
    return int(round(rows / step) * step)


def _share(point: Prediction) -> str:
    return f"{write_percent(point.rate, 0)} [{100 * point.low:.0f}, {100 * point.high:.0f}]"


def _rise(point: Prediction) -> str:
    return f"{write_percent(1 - point.rate, 0)} [{100 * (1 - point.high):.0f}, {100 * (1 - point.low):.0f}]"
