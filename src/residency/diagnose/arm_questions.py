"""Targeted rows against random rows: what was aimed at, and all the rest, as two questions.

Each question is about two models (the first training of each arm; they could be shipped) and about
the data (all trainings of each arm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from residency.stats.delta_interval import interval_of_differences
from residency.stats.exact_tests import sign_flip_test
from residency.stats.training_permutation import compare_trainings
from residency.stats.trainings_compared import TrainingsCompared

Check = tuple[str, str]
"""What an item is looked at for (an issue's or a kind's name), and the item's id."""

Checks = Mapping[Check, bool | None]
"""Whether each check fails (None: not scored) in the answers of one training."""


@dataclass(frozen=True)
class ArmQuestion:
    """One question about the two arms; rates are means over groups of the share of checks failed.

    Attributes:
        checks, groups: how many were compared. unscored: checks that some training left unscored
            and another did not; they count as failed there.
        before, after: rates of the first training with random rows, and with targeted rows.
        better, worse: groups in which the second fails less, or more.
        delta, low, high, p_value: how far it fails less, its 95 % interval, exact sign-flip p.
        differences: the same by group.
        control, targeted: the rate of every training. data: the question about them.
    """

    checks: int
    groups: int
    unscored: int
    before: float
    after: float
    better: int
    worse: int
    delta: float
    low: float
    high: float
    p_value: float
    differences: tuple[float, ...]
    control: tuple[float, ...]
    targeted: tuple[float, ...]
    data: TrainingsCompared


def ask_arms(
    control: Sequence[Checks],
    targeted: Sequence[Checks],
    *,
    groups: Mapping[str, str],
    alpha: float = 0.05,
) -> ArmQuestion:
    """Compare the arms over these checks.

    An answer that could not be scored in one training, and could in another, counts as failed, so
    that answers which stop coming make no arm better. What no training scored is left out.

    Args:
        control, targeted: checks of each training, the first of each arm first (at least one).
        groups: item id → group. alpha: level of the question about the data.
    """
    trainings = [*control, *targeted]
    shared = [
        check
        for check in trainings[0]
        if all(check in other for other in trainings)
        and any(other[check] is not None for other in trainings)
    ]
    places: dict[str, list[Check]] = {}
    for check in shared:
        places.setdefault(groups.get(check[1]) or check[1], []).append(check)
    rates = np.array(
        [
            [sum(_fails(of, check) for check in checks) / len(checks) for checks in places.values()]
            for of in trainings
        ]
    ).reshape(len(trainings), len(places))
    was, now = rates[0], rates[len(control)]
    differences = (was - now).tolist()
    low, high = interval_of_differences(differences, [len(checks) for checks in places.values()])
    means = rates.mean(axis=1) if places else np.zeros(len(trainings))
    ours, theirs = means[: len(control)].tolist(), means[len(control) :].tolist()
    return ArmQuestion(
        checks=len(shared),
        groups=len(places),
        unscored=sum(any(of[check] is None for of in trainings) for check in shared),
        before=ours[0],
        after=theirs[0],
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        delta=ours[0] - theirs[0],
        low=low,
        high=high,
        p_value=sign_flip_test(differences).p_value,
        differences=tuple(differences),
        control=tuple(ours),
        targeted=tuple(theirs),
        data=compare_trainings(ours, theirs, alpha=alpha) if places else TrainingsCompared(),
    )


def _fails(checks: Checks, check: Check) -> bool:
    failed = checks[check]
    return failed is None or failed
