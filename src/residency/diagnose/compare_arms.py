"""Did the targeted rows do it, or would any rows have done it?

Two trainings differ by more than their data: another seed or another draw of rows moves whole
slices. So what one training of each arm shows speaks of *these two models*. What the *data* did is
a question at the level of trainings, and cannot be told from one of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from residency.stats.delta_interval import interval_of_differences
from residency.stats.exact_tests import sign_flip_test
from residency.stats.multiplicity import adjust_by_discrete_holm
from residency.stats.paired_outcomes import Paired, pair_outcomes
from residency.stats.sample_reducer import Outcomes
from residency.stats.training_permutation import compare_trainings
from residency.stats.trainings_compared import TrainingsCompared


@dataclass(frozen=True)
class ArmComparison:
    """A model trained with random rows (before) against one with targeted rows (after).

    Attributes:
        issues: the counts of each issue. adjusted_p: its p, adjusted for all issues compared.
        better, worse: groups that fail fewer, or more, of the issues with the targeted model.
        groups: groups compared. p_value: the test over them, one question over all issues.
        delta, low, high: how much smaller a share of the issues a group fails, with its interval.
        data: what the data did, by trainings; its p is 1 where each arm is one training.

    All but ``data`` speak of these two models.
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
    data: TrainingsCompared = field(default_factory=TrainingsCompared)


def compare_arms(
    control: Mapping[str, Outcomes],
    targeted: Mapping[str, Outcomes],
    *,
    half: set[str],
    groups: Mapping[str, str],
    level: float = 0.95,
    more_control: Sequence[Mapping[str, Outcomes]] = (),
    more_targeted: Sequence[Mapping[str, Outcomes]] = (),
) -> ArmComparison:
    """Compare the two arms, issue by issue and over all issues at once.

    There is one overall question: of each group, is a smaller share of the issues that drew
    rows failed with targeted rows than with random ones? It needs no adjustment and has more
    power than any single issue.

    Args:
        control, targeted: issue id → outcomes by example id, for the issues that drew rows.
        more_control, more_targeted: the same of further trainings of each arm (other seeds or
            draws), for the question of what the data did.
    """
    counts = {
        issue: pair_outcomes(control[issue], targeted[issue], groups=groups, only=half)
        for issue in control
        if issue in targeted
    }
    adjusted = adjust_by_discrete_holm([c.test for c in counts.values()])
    differences, sizes = _differences_of_groups(counts, control, targeted, half, groups)
    low, high = interval_of_differences(differences, sizes, level=level)
    return ArmComparison(
        issues=counts,
        adjusted_p=dict(zip(counts, adjusted, strict=True)),
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        groups=len(differences),
        p_value=sign_flip_test(differences).p_value,
        delta=sum(differences) / len(differences) if differences else 0.0,
        low=low,
        high=high,
        data=compare_trainings(
            [_failure_rate(arm, counts, half) for arm in (control, *more_control)],
            [_failure_rate(arm, counts, half) for arm in (targeted, *more_targeted)],
        ),
    )


def _differences_of_groups(
    issues: Mapping[str, Paired],
    control: Mapping[str, Outcomes],
    targeted: Mapping[str, Outcomes],
    half: set[str],
    groups: Mapping[str, str],
) -> tuple[list[float], list[int]]:
    """For each group the mean, over its items and issues, of how much less it fails."""
    changes: dict[str, list[int]] = {}
    for issue in issues:
        for key, was in control[issue].items():
            now = targeted[issue].get(key)
            if key in half and was is not None and now is not None:
                changes.setdefault(groups.get(key) or key, []).append(int(was) - int(now))
    means = [sum(values) / len(values) for values in changes.values()]
    return means, [len(values) for values in changes.values()]


def _failure_rate(
    arm: Mapping[str, Outcomes], issues: Mapping[str, Paired], half: set[str]
) -> float:
    """Mean over issues of the share of scored items that one training fails."""
    rates = []
    for issue in issues:
        scored = [bad for key, bad in arm[issue].items() if key in half and bad is not None]
        if scored:
            rates.append(sum(scored) / len(scored))
    return sum(rates) / len(rates) if rates else 0.0
