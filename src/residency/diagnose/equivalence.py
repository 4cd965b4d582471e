"""Forgetting guard: has general ability stayed the same, within a stated margin?

No significant difference is not equality. Equivalence must itself be shown: two one-sided
tests (Schuirmann 1987), by the inclusion of the 1 − 2α interval in ±margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from residency.diagnose.statistics import delta_interval

Conclusion = Literal["equivalent", "better", "worse", "not shown"]


@dataclass(frozen=True)
class Equivalence:
    """Change of accuracy on paired items.

    Attributes:
        conclusion: ``equivalent`` (the whole interval within ±margin), ``worse`` or ``better``
            (the whole interval beyond the margin on that side), else ``not shown``.
        delta: accuracy after − before. low, high: its 1 − 2α interval.
        no_worse: the interval lies above −margin (non-inferiority): nothing was forgotten
            beyond the margin, whether or not it became better.
    """

    conclusion: Conclusion
    n: int
    before: float
    after: float
    delta: float
    low: float
    high: float
    margin: float
    alpha: float
    no_worse: bool


def equivalence(
    before: Sequence[bool], after: Sequence[bool], margin: float, *, alpha: float = 0.05
) -> Equivalence:
    """Compare paired correct/incorrect vectors of a benchmark against ``margin`` (e.g. 0.02).

    Raises:
        ValueError: the vectors differ in length, or the margin is not positive.
    """
    if len(before) != len(after):
        raise ValueError(f"paired vectors differ in length: {len(before)} and {len(after)}")
    if margin <= 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    n = len(before)
    gained = sum(now and not was for was, now in zip(before, after, strict=True))
    lost = sum(was and not now for was, now in zip(before, after, strict=True))
    low, high = delta_interval(gained, lost, n, level=1 - 2 * alpha)
    conclusion: Conclusion = "not shown"
    if -margin < low and high < margin:
        conclusion = "equivalent"
    elif high < -margin:
        conclusion = "worse"
    elif low > margin:
        conclusion = "better"
    return Equivalence(
        conclusion=conclusion,
        n=n,
        before=sum(before) / n if n else 0.0,
        after=sum(after) / n if n else 0.0,
        delta=(gained - lost) / n if n else 0.0,
        low=low,
        high=high,
        margin=margin,
        alpha=alpha,
        no_worse=low > -margin,
    )
