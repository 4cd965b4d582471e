"""Should I fine-tune at all? The same items by prompt, by retrieval and by the tuned model.

This module turns answers that are there into one table and a recommendation; it generates
nothing. Findings are passed in, so every detector of the project may count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from residency.evaluate.baselines.baseline_report import BaselineReport, Contender, Difference
from residency.evaluate.baselines.measure_way import measure_way
from residency.evaluate.baselines.recommend_way import recommend_way
from residency.nouns.example import Example
from residency.stats.intervals import mean_interval
from residency.stats.sample_reducer import Reduce, check_outcomes


def compare_ways(
    contenders: Sequence[Contender],
    examples: Sequence[Example],
    *,
    split: str = "dev",
    seed: int = 0,
    reduce: Reduce = "majority",
) -> BaselineReport:
    """One row a contender, paired differences, and what follows from them in plain words.

    ``reduce`` says how several samples of an item become one outcome.
    """
    rows = tuple(measure_way(c, examples, seed, reduce) for c in contenders)
    shares = {c.name: _passed_shares(c, reduce) for c in contenders}
    groups = {e.id: e.group or e.id for e in examples}
    prompts = [row for row in rows if row.way == "prompt"]
    differences: tuple[Difference, ...] = ()
    if prompts:
        best = max(prompts, key=lambda row: _mean(shares[row.name]))
        differences = tuple(
            _difference(row.name, best.name, shares, groups, seed)
            for row in rows
            if row.name != best.name
        )
    return BaselineReport(rows, differences, tuple(recommend_way(rows, differences, shares, split)))


def _passed_shares(contender: Contender, reduce: Reduce) -> dict[str, float]:
    """Example → share of the suite's checks that passed, an unscored check as not passed.

    Comparing needs one denominator for both sides: an answer that cannot be parsed would
    otherwise be compared on other checks than one that can. Errors are left out.
    """
    live = [response for response in contender.responses if response.finish != "error"]
    suite = [finding for finding in contender.findings if finding.detector.startswith("suite:")]
    return {
        example: sum(failed is False for failed in checks.values()) / len(checks)
        for example, checks in check_outcomes(suite, live, reduce).items()
        if checks
    }


def _mean(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares) if shares else 0.0


def _difference(
    name: str,
    best: str,
    shares: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    seed: int,
) -> Difference:
    both = [e for e in shares[name] if e in shares[best]]
    values = [shares[name][e] - shares[best][e] for e in both]
    low, high = mean_interval(values, [groups.get(e, e) for e in both], signed=True)
    mean = sum(values) / len(values) if values else 0.0
    if not values or math.isinf(low):
        low, high = -1.0, 1.0
    return Difference(name, best, mean, low, high, len(values))
