"""How far failures fall when rows of a part are added, and which parts the budget is for.

A part's failures are taken to fall with its trained rows as a power of their number: from t rows to
t + k they fall by the factor ((t + 1) / (t + k + 1)) to the ``rate``. Without experience the rate is
0.5; a part that earlier rounds gave rows has a separate rate, from what became of it then.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

USUAL_RATE = 0.5
MOST_RATE = 2.0
_PRIOR = 1.0
"""How much the usual rate counts against what was seen: as much as a growth of rows by the factor e."""


@dataclass(frozen=True)
class PartResponse:
    """What earlier rounds did to a part: its failure rate and trained rows, then and now."""

    before: float
    after: float
    rows_before: int
    rows_after: int


def learn_rate(response: PartResponse | None) -> float:
    """The rate of a part's fall: the usual one, corrected by what earlier rows did.

    The correction is a least-squares slope of log failure rate on log rows with the usual rate as
    prior, so that a small growth of rows moves it little. Between 0 and 2.
    """
    if response is None or response.before <= 0 or response.rows_after <= response.rows_before:
        return USUAL_RATE
    growth = math.log((response.rows_after + 1) / (response.rows_before + 1))
    floor = 0.02  # a part without failures has not fallen by infinity
    fall = math.log(max(response.before, floor) / max(response.after, floor))
    rate = (growth * fall + _PRIOR * USUAL_RATE) / (growth * growth + _PRIOR)
    return min(MOST_RATE, max(0.0, rate))


def predict_fall(failures: float, trained: int, added: int, rate: float = USUAL_RATE) -> float:
    """How many of ``failures`` are gone when ``added`` rows join the ``trained`` ones."""
    return failures * (1 - float(((trained + 1) / (trained + added + 1)) ** rate))


@dataclass(frozen=True)
class PartNeed:
    """What decides a part's share: failing items, rows trained and to be had, share of the pool."""

    failures: int
    trained: int
    available: int
    pool_share: float
    rate: float = USUAL_RATE


def spread_budget(needs: Sequence[PartNeed], *, most_each: int, most: int) -> list[int]:
    """Rows for each part: half of the budget in equal shares, half where it mends most.

    Equal shares first, so that no part is starved by a prediction. Then row by row to the part whose
    predicted fall for one more row is largest, less what a random row would give it anyway. No part
    gets more than ``most_each`` or than it has.
    """
    limits = [min(need.available, most_each) for need in needs]
    equal = -(-most // (2 * len(needs))) if needs else 0
    shares: list[int] = []
    for limit in limits:
        shares.append(min(limit, equal, most - sum(shares)))

    def value(n: int) -> float:
        need, has = needs[n], shares[n]
        gain = predict_fall(need.failures, need.trained + has, 1, need.rate)
        left = float(((need.trained + 1) / (need.trained + has + 1)) ** need.rate)
        return gain * left * (1 - need.pool_share)

    queue = [(-value(n), n) for n, limit in enumerate(limits) if shares[n] < limit]
    heapq.heapify(queue)
    left = most - sum(shares)
    while queue and left > 0:
        _, n = heapq.heappop(queue)
        shares[n] += 1
        left -= 1
        if shares[n] < limits[n]:
            heapq.heappush(queue, (-value(n), n))
    return shares
