"""What became of an issue between two models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from residency.nouns.short_view import ShortView

VerdictStatus = Literal[
    "resolved",
    "improved",
    "persisting",
    "inconclusive",
    "missing answers",
    "regressed",
    "new",
    "newly detected",
]


@dataclass(frozen=True, repr=False)
class Verdict(ShortView):
    """What became of an issue between two models, on paired items.

    Attributes:
        n: items scored in both, in ``groups`` groups; unscored: items that were not, of which
            ``lost`` were scored before only and ``gained`` after only.
        before_rate, after_rate: failure rates on those n items, mean over groups.
        fixed: bad → ok (c). broken: ok → bad (b).
        delta: how far the rate fell, positive is better; low, high: its interval at ``level``.
        p_value: exact sign-flip test over groups (McNemar where each is one item). e_value: anytime-valid.
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
    lost: int = 0
    gained: int = 0
    groups: int = 0
