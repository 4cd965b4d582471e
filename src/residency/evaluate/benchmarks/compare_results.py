"""Two models on the same items: paired differences, and whether something was forgotten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from residency.errors import SuiteError
from residency.evaluate.benchmarks.run_tasks import BenchResult
from residency.evaluate.benchmarks.score_items import (
    LOG_METRICS,
    ItemResult,
    average_metric,
    average_ratio,
)
from residency.evaluate.benchmarks.task_registry import TASKS
from residency.stats.delta_interval import score_interval

Kept = Literal["kept", "forgotten", "improved", "inconclusive"]


@dataclass(frozen=True)
class Difference:
    """One metric of two models on the same n items.

    Attributes:
        before, after: the two means. delta: after − before; for perplexities the log-likelihood
            gained an item, word or byte, so that more is better too. low, high: its interval.
        fixed, broken: items wrong → right and right → wrong (for metrics of 0 and 1).
        p_value: exact McNemar for metrics of 0 and 1, else the paired t-test.
        status: by the interval against the margin: *kept* (all of it above −margin),
            *forgotten* (all below 0 and not kept), *improved* (all above 0), or
            *inconclusive*: too few items to say.
    """

    task: str
    metric: str
    n: int
    before: float
    after: float
    delta: float
    low: float
    high: float
    fixed: int
    broken: int
    p_value: float
    status: Kept


def compare_results(
    before: BenchResult, after: BenchResult, *, margin: float = 0.02, level: float = 0.95
) -> list[Difference]:
    """Every task and group that both models answered, item by item.

    The interval of a metric of 0 and 1 is the continuity-corrected score interval (Tango 1998), so
    that a loss of the margin is called kept in at most 2.5 %. For other metrics it is Student's t
    on the paired differences; where no item changed its value it is the exact bound of a rate of 0
    changes in n items (Clopper–Pearson).

    Args:
        margin: the loss that you accept without calling it forgetting, e.g. 0.02.

    Raises:
        SuiteError: the two runs used different prompts, or share no item.
    """
    left = {(item.task, item.index): item for item in before.items}
    pairs: dict[str, list[tuple[ItemResult, ItemResult]]] = {}
    for item in after.items:
        other = left.get((item.task, item.index))
        if other is None:
            continue
        if other.prompt != item.prompt:
            raise SuiteError(
                f"{item.task}: item {item.index} was asked with another prompt in the other run",
                next_step="run both models with the same data and --shots",
            )
        names = (item.task, *TASKS[item.task].groups) if item.task in TASKS else (item.task,)
        for name in names:
            pairs.setdefault(name, []).append((other, item))
    if not pairs:
        raise SuiteError("the two runs have no item in common")
    shown = [name for name in pairs if name in after.metrics]
    return [
        (_compare_logs if metric in LOG_METRICS else _compare_metric)(
            name, metric, pairs[name], margin, level
        )
        for name in shown
        for metric in after.metrics[name]
    ]


def _compare_logs(
    task: str,
    metric: str,
    pairs: Sequence[tuple[ItemResult, ItemResult]],
    margin: float,
    level: float,
) -> Difference:
    """Log-likelihood gained an item, a word or a byte (bits for ``bits_per_byte``, else nats).

    So +0.02 is a perplexity lower by 2 %. The interval is Student's t of a ratio over the items.
    """
    weights = [one.weights.get(metric, 1.0) for one, _ in pairs]
    old = [one.values[metric] for one, _ in pairs]
    new = [two.values[metric] for _, two in pairs]
    gains = [b - a for a, b in zip(old, new, strict=True)]
    unit = math.log(2) if metric == "bits_per_byte" else 1.0
    gain = average_ratio(gains, weights)
    n, delta, error = gain.n, gain.value / unit, gain.stderr / unit
    if n < 2:
        half, p_value = math.inf, 1.0
    elif error == 0.0:
        half, p_value = 0.0, float(delta == 0.0)
    else:
        half = error * float(stats.t.ppf((1 + level) / 2, n - 1))
        p_value = 2 * float(stats.t.sf(abs(delta) / error, n - 1))
    low, high = delta - half, delta + half
    return Difference(
        task=task,
        metric=metric,
        n=n,
        before=average_metric(metric, old, weights).value,
        after=average_metric(metric, new, weights).value,
        delta=delta,
        low=low,
        high=high,
        fixed=sum(g > 0 for g in gains),
        broken=sum(g < 0 for g in gains),
        p_value=p_value,
        status=_judge_change(low, high, margin),
    )


def _compare_metric(
    task: str,
    metric: str,
    pairs: Sequence[tuple[ItemResult, ItemResult]],
    margin: float,
    level: float,
) -> Difference:
    old = [one.values[metric] for one, _ in pairs]
    new = [two.values[metric] for _, two in pairs]
    changes = [b - a for a, b in zip(old, new, strict=True)]
    n = len(changes)
    delta = math.fsum(changes) / n
    fixed, broken = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    binary = set(old) | set(new) <= {0.0, 1.0}
    if n > 1 and any(change != changes[0] for change in changes):
        spread = math.fsum((change - delta) ** 2 for change in changes)
        error = math.sqrt(spread / (n - 1) / n)
        half = error * float(stats.t.ppf((1 + level) / 2, n - 1))
        p_value = 2 * float(stats.t.sf(abs(delta) / error, n - 1))
    else:
        half = 1 - ((1 - level) / 2) ** (1 / n)
        p_value = 1.0
    if binary:
        low_count = min(fixed, broken)
        p_value = min(1.0, 2 * float(stats.binom.cdf(low_count, fixed + broken, 0.5)))
    low, high = max(-1.0, delta - half), min(1.0, delta + half)
    if binary:  # Student's t says "kept" too often where few items changed
        low, high = score_interval(fixed, broken, n, level=level)
    return Difference(
        task=task,
        metric=metric,
        n=n,
        before=math.fsum(old) / n,
        after=math.fsum(new) / n,
        delta=delta,
        low=low,
        high=high,
        fixed=fixed,
        broken=broken,
        p_value=p_value,
        status=_judge_change(low, high, margin),
    )


def _judge_change(low: float, high: float, margin: float) -> Kept:
    if low > 0:
        return "improved"
    if low > -margin:
        return "kept"
    return "forgotten" if high < 0 else "inconclusive"
