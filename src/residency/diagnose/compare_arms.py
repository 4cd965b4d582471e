"""Did the targeted rows do it, or would any rows have done it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from residency.stats.paired_outcomes import Paired, delta_interval, discrete_holm, exact_p, pair
from residency.stats.sample_reducer import Outcomes


@dataclass(frozen=True)
class ArmComparison:
    """Random rows (before) against as many targeted rows (after), on the measuring half.

    Attributes:
        issues: the counts of each issue. adjusted_p: its p, adjusted for all issues compared.
        better, worse: groups that fail fewer, or more, of the issues with targeted rows.
        groups: groups compared. p_value: the sign test over them, the one overall question.
        delta, low, high: share of groups better minus share worse, with its 95 % interval.
    """

    issues: Mapping[str, Paired]
    adjusted_p: Mapping[str, float]
    better: int
    worse: int
    groups: int
    p_value: float
    delta: float
    low: float
    high: float


def compare_arms(
    control: Mapping[str, Outcomes],
    targeted: Mapping[str, Outcomes],
    *,
    half: set[str],
    groups: Mapping[str, str],
    level: float = 0.95,
) -> ArmComparison:
    """Compare the two arms, issue by issue and over all issues at once.

    The overall question is asked once: of each group, are more of the issues that drew rows
    failed with random rows or with targeted ones? It needs no adjustment and has more power
    than any single issue.

    Args:
        control, targeted: issue id → outcomes by example id, for the issues that drew rows.
    """
    counts = {
        issue: pair(control[issue], targeted[issue], groups=groups, only=half)
        for issue in control
        if issue in targeted
    }
    adjusted = discrete_holm([(c.better, c.worse) for c in counts.values()])
    totals: dict[str, int] = {}
    for issue in counts:
        _add(totals, control[issue], targeted[issue], half, groups)
    better = sum(change > 0 for change in totals.values())
    worse = sum(change < 0 for change in totals.values())
    low, high = delta_interval(better, worse, len(totals), level=level)
    return ArmComparison(
        issues=counts,
        adjusted_p=dict(zip(counts, adjusted, strict=True)),
        better=better,
        worse=worse,
        groups=len(totals),
        p_value=exact_p(better, worse),
        delta=(better - worse) / len(totals) if totals else 0.0,
        low=low,
        high=high,
    )


def _add(
    totals: dict[str, int],
    control: Outcomes,
    targeted: Outcomes,
    half: set[str],
    groups: Mapping[str, str],
) -> None:
    for key, was in control.items():
        now = targeted.get(key)
        if key in half and was is not None and now is not None:
            group = groups.get(key) or key
            totals[group] = totals.get(group, 0) + int(was) - int(now)
