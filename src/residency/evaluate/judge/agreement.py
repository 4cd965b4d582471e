"""How far a judge can be trusted: its agreement with people, and rates corrected for its errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from residency.stats.intervals import clopper_pearson


@dataclass(frozen=True)
class Agreement:
    """A judge against human labels on the same items.

    Attributes:
        tp: both pass. fn: people pass, judge fails. tn: both fail. fp: people fail, judge passes.
        unscored: labelled items on which the judge gave no valid verdict. They are in no rate.
    """

    tp: int
    fn: int
    tn: int
    fp: int
    unscored: int = 0

    @property
    def n(self) -> int:
        """Items with both a label and a verdict."""
        return self.tp + self.fn + self.tn + self.fp

    @property
    def tpr(self) -> float:
        """P(judge passes | people pass); nan without such items."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else math.nan

    @property
    def tnr(self) -> float:
        """P(judge fails | people fail); nan without such items."""
        return self.tn / (self.tn + self.fp) if self.tn + self.fp else math.nan

    @property
    def accuracy(self) -> float:
        """Share of equal verdicts."""
        return (self.tp + self.tn) / self.n if self.n else math.nan

    @property
    def kappa(self) -> float:
        """Cohen's κ (1960): agreement beyond chance; nan when only one value occurs."""
        if not self.n:
            return math.nan
        n = self.n
        people, judge = self.tp + self.fn, self.tp + self.fp
        chance = (people * judge + (n - people) * (n - judge)) / n**2
        return (self.accuracy - chance) / (1 - chance) if chance < 1 else math.nan

    @property
    def better_than_chance(self) -> bool:
        """Whether TPR + TNR > 1 is shown: Fisher's exact test, one-sided, p < 0.05."""
        if not (self.tp + self.fn and self.tn + self.fp):
            return False
        table = [[self.tp, self.fn], [self.fp, self.tn]]
        return bool(stats.fisher_exact(table, alternative="greater").pvalue < 0.05)

    def tpr_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Exact interval of the TPR."""
        return clopper_pearson(self.tp, self.tp + self.fn, level)

    def tnr_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Exact interval of the TNR."""
        return clopper_pearson(self.tn, self.tn + self.fp, level)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; undefined figures are null."""
        figures = {
            "tpr": self.tpr,
            "tnr": self.tnr,
            "kappa": self.kappa,
            "accuracy": self.accuracy,
        }
        return {
            "tp": self.tp,
            "fn": self.fn,
            "tn": self.tn,
            "fp": self.fp,
            "n": self.n,
            "unscored": self.unscored,
            "better_than_chance": self.better_than_chance,
            **{name: None if math.isnan(v) else v for name, v in figures.items()},
            "tpr_interval": list(self.tpr_interval()),
            "tnr_interval": list(self.tnr_interval()),
        }


def measure_agreement(
    judged: Mapping[str, bool | None], people: Mapping[str, bool | None]
) -> Agreement:
    """Agreement on the items that people labelled; None on their side is no label."""
    counts = {(True, True): 0, (True, False): 0, (False, False): 0, (False, True): 0}
    unscored = 0
    for item, label in people.items():
        if label is None:
            continue
        verdict = judged.get(item)
        if verdict is None:
            unscored += 1
        else:
            counts[label, verdict] += 1
    return Agreement(
        tp=counts[True, True],
        fn=counts[True, False],
        tn=counts[False, False],
        fp=counts[False, True],
        unscored=unscored,
    )


@dataclass(frozen=True)
class CorrectedRate:
    """The true pass rate behind a judge's.

    ``judged`` is the judge's uncorrected rate; ``rate`` the corrected one with its interval.
    ``usable`` is False when the labels do not show that the judge is better than chance (Fisher's
    exact test, one-sided, at 5 %): the correction divides by TPR + TNR − 1, which may then be 0,
    and nothing can be said.
    """

    judged: float
    rate: float | None
    low: float
    high: float
    n: int
    usable: bool


def corrected_rate(passes: int, n: int, labels: Agreement, level: float = 0.95) -> CorrectedRate:
    """θ = (p + TNR − 1)/(TPR + TNR − 1), clipped to [0, 1] (Rogan, Gladen 1978).

    The interval carries the uncertainty of p, TPR and TNR (Lang, Reiczigel 2014, Prev. Vet. Med.
    113:13): z²/2 pseudo-counts on p, one on each side of TPR and TNR, and their term for skewness.
    TPR and TNR must come from other items than ``passes``/``n``, or from a random part of them.

    Raises:
        ValueError: ``passes`` is not between 0 and ``n``.
    """
    if not 0 <= passes <= n:
        raise ValueError(f"{passes} passes of {n}")
    positives, negatives = labels.tp + labels.fn, labels.tn + labels.fp
    judged = passes / n if n else math.nan
    se = (labels.tp + 1) / (positives + 2)
    sp = (labels.tn + 1) / (negatives + 2)
    youden = se + sp - 1
    raw_youden = labels.tpr + labels.tnr - 1
    if not n or not labels.better_than_chance:
        return CorrectedRate(judged, None, 0.0, 1.0, n, usable=False)
    z = float(stats.norm.ppf((1 + level) / 2))
    p = (passes + z**2 / 2) / (n + z**2)
    rate = (p + sp - 1) / youden
    var_se = se * (1 - se) / (positives + 2)
    var_sp = sp * (1 - sp) / (negatives + 2)
    var_p = p * (1 - p) / (n + z**2)
    shift = 2 * z**2 * (rate * var_se - (1 - rate) * var_sp)
    half = z / youden * math.sqrt(var_p + (1 - rate) ** 2 * var_sp + rate**2 * var_se)
    point = (judged + labels.tnr - 1) / raw_youden
    return CorrectedRate(
        judged=judged,
        rate=min(max(point, 0.0), 1.0),
        low=min(max(rate + shift - half, 0.0), 1.0),
        high=min(max(rate + shift + half, 0.0), 1.0),
        n=n,
        usable=True,
    )
