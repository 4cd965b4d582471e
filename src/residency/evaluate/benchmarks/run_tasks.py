"""Asks a model the benchmarks' items and adds up the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from residency.evaluate.benchmarks.load_rows import Splits, read_split
from residency.evaluate.benchmarks.prompts import write_contexts, write_continuations
from residency.evaluate.benchmarks.score_items import (
    VALUE_OF,
    ItemResult,
    Metric,
    average_metric,
    item_values,
    pool_metrics,
)
from residency.evaluate.benchmarks.task import Task
from residency.interfaces import Choice, Progress, Scorer, no_progress
from residency.text.words import hash_text


@dataclass(frozen=True)
class BenchResult:
    """What a model scored.

    Attributes:
        metrics: task or group → metric → value. items: every item. shots: task → examples.
    """

    metrics: dict[str, dict[str, Metric]]
    items: list[ItemResult]
    shots: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of ``from_dict``. An unknown error (one item) is None."""
        metrics = {
            task: {
                name: {**asdict(m), "stderr": None if math.isnan(m.stderr) else m.stderr}
                for name, m in found.items()
            }
            for task, found in self.metrics.items()
        }
        return {
            "metrics": metrics,
            "shots": self.shots,
            "items": [{**asdict(item), "logprobs": list(item.logprobs)} for item in self.items],
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> BenchResult:
        """The inverse of ``to_dict``."""
        metrics = {
            task: {
                name: Metric(m["value"], math.nan if m["stderr"] is None else m["stderr"], m["n"])
                for name, m in found.items()
            }
            for task, found in raw["metrics"].items()
        }
        items = [
            ItemResult(**{**item, "logprobs": tuple(item["logprobs"])}) for item in raw["items"]
        ]
        return BenchResult(metrics, items, dict(raw["shots"]))


@dataclass(frozen=True)
class TaskRequests:
    """The items of one task, ready to score."""

    task: Task
    indices: list[int]
    contexts: list[str]
    requests: list[list[Choice]]


def write_requests(
    task: Task, splits: Splits, *, limit: int = 0, shots: int | None = None
) -> TaskRequests:
    """The first ``limit`` items of a task (all when 0) as log-likelihood requests.

    Raises:
        SuiteError: a split is missing, or a row is not of the benchmark's layout.
    """
    rows = read_split(task, splits, task.test)
    rows = rows[:limit] if limit else rows
    count = task.shots if shots is None else shots
    count = count if task.shots_from else 0
    examples = read_split(task, splits, task.shots_from) if count else []
    told = write_contexts(task, rows, examples, count)
    requests = [
        [Choice(context, text) for text in write_continuations(task, task.read(row))]
        for row, context in zip(rows, told, strict=True)
    ]
    return TaskRequests(task, list(range(len(rows))), told, requests)


def run_tasks(
    tasks: Sequence[Task],
    splits: Splits,
    scorer: Scorer,
    *,
    limit: int = 0,
    shots: int | None = None,
    progress: Progress = no_progress,
) -> BenchResult:
    """Scores of all tasks, of their groups, and item by item.

    Args:
        splits: where the rows come from. limit: items a task (0: all).
        shots: examples before each question; None: each benchmark's usual number.
    """
    asked = [write_requests(task, splits, limit=limit, shots=shots) for task in tasks]
    requests = [request for one in asked for request in one.requests]
    scores = iter(scorer.score(requests, progress=progress))
    items: list[ItemResult] = []
    for one in asked:
        rows = read_split(one.task, splits, one.task.test)
        for index, context in zip(one.indices, one.contexts, strict=True):
            question = one.task.read(rows[index])
            found = next(scores)
            sums = tuple(score.logprob for score in found)
            values = item_values(question, found, one.task.kind)
            items.append(
                ItemResult(
                    task=one.task.name,
                    index=index,
                    prompt=hash_text(context),
                    logprobs=sums,
                    gold=question.gold,
                    chosen=max(range(len(sums)), key=sums.__getitem__),
                    values={name: values[VALUE_OF.get(name, name)] for name in one.task.metrics},
                )
            )
    used = {
        task.name: (task.shots if shots is None else shots) if task.shots_from else 0
        for task in tasks
    }
    return BenchResult(summarise_metrics(tasks, items), items, used)


def summarise_metrics(
    tasks: Sequence[Task], items: Sequence[ItemResult]
) -> dict[str, dict[str, Metric]]:
    """Metrics of each task, and of each group of which there is more than one task."""
    by_task: dict[str, list[ItemResult]] = {}
    for item in items:
        by_task.setdefault(item.task, []).append(item)
    out: dict[str, dict[str, Metric]] = {}
    groups: dict[str, list[str]] = {}
    for task in tasks:
        found = by_task.get(task.name)
        if not found:
            continue
        out[task.name] = {
            m: average_metric(m, [item.values[m] for item in found]) for m in task.metrics
        }
        for group in task.groups:
            groups.setdefault(group, []).append(task.name)
    for group, names in groups.items():
        if len(names) > 1:
            out[group] = {m: pool_metrics([out[name][m] for name in names]) for m in out[names[0]]}
    return out
