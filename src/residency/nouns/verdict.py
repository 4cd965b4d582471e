"""What became of an issue between two models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VerdictStatus = Literal[
    "resolved", "improved", "persisting", "inconclusive", "regressed", "new", "newly detected"
]


@dataclass(frozen=True)
class Verdict:
    """What became of an issue between two models, on paired items.

    Attributes:
        n: items scored in both; unscored: items that were not.
        before_rate, after_rate: failure rates on those n items.
        fixed: bad → ok (c). broken: ok → bad (b).
        delta: (fixed - broken) / n, positive is better; low, high: its interval at ``level``.
        p_value: exact McNemar (sign test over groups). e_value: anytime-valid.
        alpha: the share of α spent on this decision. mde: smallest fall that it could show.
        split: ``"dev"`` (the measuring half) or ``"test"``.
    """

    issue: str
    before: str
    after: str
    round: int
    split: str
    status: VerdictStatus
    n: int
    unscored: int
    before_rate: float
    after_rate: float
    fixed: int
    broken: int
    delta: float
    low: float
    high: float
    p_value: float
    e_value: float
    alpha: float
    mde: float
    level: float = 0.95
    note: str = ""
