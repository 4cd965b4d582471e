"""Should I fine-tune at all? The same items by prompt, by retrieval and by the tuned model.

This module turns answers that are there into one table and a recommendation; it generates
nothing. Findings are passed in, so every detector of the project may count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from residency.evaluate.baselines.baseline_report import (
    BaselineReport,
    BaselineRow,
    Contender,
    Difference,
)
from residency.evaluate.baselines.measure_way import measure_way
from residency.evaluate.baselines.recommend_way import average_values, recommend_way
from residency.evaluate.judged_answer import JudgedAnswer, judge_answer
from residency.evaluate.suites.primary_metric import PrimaryMetric
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.stats.intervals import mean_interval
from residency.stats.sample_reducer import Reduce, check_outcomes


def compare_ways(
    contenders: Sequence[Contender],
    examples: Sequence[Example],
    *,
    split: str = "dev",
    reduce: Reduce = "majority",
    primary: PrimaryMetric | None = None,
    classes: Sequence[str] = (),
    read: Callable[[Example, Response], JudgedAnswer] = judge_answer,
) -> BaselineReport:
    """One row a contender, paired differences, and what follows from them in plain words.

    Args:
        reduce: how several samples of an item become one outcome.
        primary: what the ways are compared by; None: the share of the suite's checks that pass.
        classes: of a closed set, in normal form.
        read: what of a response, and of its reference, is judged.
    """
    rows = tuple(
        measure_way(c, examples, reduce=reduce, primary=primary, classes=classes, read=read)
        for c in contenders
    )
    title = primary.title if primary else "checks passed"
    values = {
        contender.name: _primary_values(contender, row)
        if primary
        else _passed_shares(contender, reduce)
        for contender, row in zip(contenders, rows, strict=True)
    }
    groups = {e.id: e.group or e.id for e in examples}
    prompts = [row for row in rows if row.way == "prompt"]
    differences: tuple[Difference, ...] = ()
    if prompts:
        best = max(prompts, key=lambda row: average_values(values[row.name]))
        differences = tuple(
            _compare_values(row.name, best.name, values, groups, title)
            for row in rows
            if row.name != best.name
        )
    sentences = recommend_way(rows, differences, values, split, title)
    return BaselineReport(rows, differences, tuple(sentences))


def _primary_values(contender: Contender, row: BaselineRow) -> dict[str, float]:
    """Example → the primary metric; what could not be judged counts as failed, errors are left out."""
    answered = {r.example for r in contender.responses if r.finish != "error"}
    by_example = row.scores.primary.by_example if row.scores.primary else {}
    return {item: value or 0.0 for item, value in by_example.items() if item in answered}


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


def _compare_values(
    name: str,
    best: str,
    values: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    title: str,
) -> Difference:
    both = [e for e in values[name] if e in values[best]]
    changes = [values[name][e] - values[best][e] for e in both]
    low, high = mean_interval(changes, [groups.get(e, e) for e in both], signed=True)
    mean = sum(changes) / len(changes) if changes else 0.0
    if not changes or math.isinf(low):
        low, high = -1.0, 1.0
    changed = sum(change != 0 for change in changes)
    return Difference(name, best, mean, low, high, len(changes), changed, title)
