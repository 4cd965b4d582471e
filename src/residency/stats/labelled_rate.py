"""A failure rate that a detector reports, corrected by people's labels of some of its answers.

The detector flags k of n answers. Of the flagged, and of the others, people looked at some: a share of
the flagged really fails (precision), and a share of the others does too (missed). So the rate is
p·precision + (1 − p)·missed, the double-sampling estimate (Tenenbein 1970), which prediction-powered
inference becomes where predictions are yes or no (Angelopoulos et al. 2023, stratified by prediction).
Unlike Rogan and Gladen's it lies between 0 and 1 whatever the counts, and it asks of the labels only that
they were drawn blindly *within* the flagged and within the others, however many of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FEWEST_LABELS = 5
"""Labels among the flagged, and among the others, below which nothing is corrected."""
_DRAWS = 20_000


@dataclass(frozen=True)
class LabelledRate:
    """A rate after people's labels.

    Attributes:
        rate, low, high: corrected, with its 95 % interval.
        seen: the detector's rate, on ``n`` answers (mean over groups).
        flagged, right: labels of answers that the detector flags, and how many of them fail.
        passed, missed: labels of the others, and how many of them fail.
        unsure: answers that were looked at, but not for this failure; the interval holds whether
            they fail or not.
    """

    rate: float
    low: float
    high: float
    seen: float
    n: int
    flagged: int
    right: int
    passed: int
    missed: int
    unsure: int = 0

    @property
    def labels(self) -> int:
        """Answers with a label."""
        return self.flagged + self.passed

    @property
    def sentence(self) -> str:
        """What the labels say, in words."""
        sentence_start = (
            f"by {self.labels} of your labels {100 * self.rate:.0f} % really fail "
            f"[{100 * self.low:.0f}, {100 * self.high:.0f}]"
        )
        parts = []
        if self.flagged:
            parts.append(f"{self.right} of {self.flagged} flagged ones do")
        if self.passed:
            parts.append(f"and {self.missed} of {self.passed} others")
        if self.unsure:
            parts.append(f"{self.unsure} that were read for another failure may or may not")
        return f"{sentence_start}: {', '.join(parts)}"


def correct_rate(
    outcomes: Mapping[str, bool | None],
    flags: Mapping[str, bool | None],
    labels: Mapping[str, bool | None],
    *,
    groups: Mapping[str, str] | None = None,
) -> LabelledRate | None:
    """The rate of ``outcomes`` corrected by labels; None where they are too few.

    Jeffreys' posteriors of p, precision and missed, drawn together (seeded). Items of one group are one
    observation of each. Needs ``FEWEST_LABELS`` of every stratum that has answers.

    Args:
        outcomes: item → flagged? (None: unscored), of the items whose rate it is.
        flags: the same of the items that may carry labels (of the same model and failure).
        labels: item → does it fail, by people; None: looked at, but not for this.
        groups: item → group; an item without an entry is a group.
    """
    groups = groups or {}
    scored = {item: bool(bad) for item, bad in outcomes.items() if bad is not None}
    if not scored:
        return None
    seen, n_groups = _mean_over_groups(scored, groups)
    known: dict[bool, dict[str, bool | None]] = {True: {}, False: {}}
    for item, label in labels.items():
        flag = flags.get(item)
        if flag is not None:
            known[flag][item] = label
    for flag, share in ((True, seen), (False, 1 - seen)):
        if share > 0 and len([v for v in known[flag].values() if v is not None]) < FEWEST_LABELS:
            return None
    import numpy as np  # not needed before there are labels, and a tenth of a second to load

    rng = np.random.default_rng(0)
    drawn = rng.beta(seen * n_groups + 0.5, (1 - seen) * n_groups + 0.5, _DRAWS)
    ends = [
        _combine(drawn, rng, known, groups, unsure=unsure) for unsure in (False, True)
    ]  # what nobody looked for fails nowhere, or everywhere
    counts = {flag: _count(known[flag]) for flag in (True, False)}
    right, missed = (_share(*counts[flag]) for flag in (True, False))
    rate = seen * right + (1 - seen) * missed
    low, high = float(np.quantile(ends[0], 0.025)), float(np.quantile(ends[1], 0.975))
    return LabelledRate(
        rate=rate,
        low=min(low, rate),
        high=max(high, rate),
        seen=seen,
        n=len(scored),
        flagged=counts[True][1],
        right=counts[True][0],
        passed=counts[False][1],
        missed=counts[False][0],
        unsure=sum(label is None for side in known.values() for label in side.values()),
    )


def _combine(
    share: np.ndarray,
    rng: np.random.Generator,
    known: Mapping[bool, Mapping[str, bool | None]],
    groups: Mapping[str, str],
    *,
    unsure: bool,
) -> np.ndarray:
    """Draws of the rate, with answers that nobody looked at taken as failing or not."""
    draws = {}
    for flag, side in known.items():
        decided = {item: unsure if label is None else label for item, label in side.items()}
        mean, count = _mean_over_groups(decided, groups)
        draws[flag] = rng.beta(mean * count + 0.5, (1 - mean) * count + 0.5, _DRAWS)
    combined: np.ndarray = share * draws[True] + (1 - share) * draws[False]
    return combined


def _mean_over_groups(values: Mapping[str, bool], groups: Mapping[str, str]) -> tuple[float, int]:
    """The mean over groups of their items' share, and how many groups there are."""
    by_group: dict[str, list[bool]] = {}
    for item, value in values.items():
        by_group.setdefault(groups.get(item) or item, []).append(value)
    shares = [sum(group_values) / len(group_values) for group_values in by_group.values()]
    return (math.fsum(shares) / len(shares), len(shares)) if shares else (0.0, 0)


def _count(side: Mapping[str, bool | None]) -> tuple[int, int]:
    labels = [label for label in side.values() if label is not None]
    return sum(labels), len(labels)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
