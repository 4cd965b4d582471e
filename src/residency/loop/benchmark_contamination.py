"""Benchmark items near what was trained on, and scores without them.

Compared are the rows of train and pool, from which every round draws, with the questions of the
benchmark, by the rules of ``data.overlap``. A score on contaminated items says what was learnt by
heart; the clean score says what can be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from residency.evaluate.benchmarks.load_rows import HubSplits, Splits, read_split, write_question
from residency.evaluate.benchmarks.run_tasks import BenchResult, summarise_metrics
from residency.evaluate.benchmarks.score_items import Metric
from residency.evaluate.benchmarks.task import Task
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.nouns.example import Example
from residency.overlap.compared_rows import compare_examples, compare_texts
from residency.overlap.protected_rows import ProtectedRows

HUB_TASKS = ("arc", "hellaswag", "mmlu", "truthfulqa_mc1")

Scores = dict[str, dict[str, Metric]]


@dataclass(frozen=True)
class Separated:
    """A model's scores on clean items and on contaminated ones, by task and metric."""

    name: str
    clean: Scores
    contaminated: Scores

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name,
            "clean": _figures_of_scores(self.clean),
            "contaminated": _figures_of_scores(self.contaminated),
        }


def _figures_of_scores(scores: Scores) -> dict[str, Any]:
    return {task: {m: asdict(v) for m, v in metrics.items()} for task, metrics in scores.items()}


def contaminated_items(
    examples: Sequence[Example],
    tasks: Sequence[Task],
    splits: Splits,
    items_asked: Mapping[str, Sequence[int]],
) -> dict[str, frozenset[int]]:
    """Items that some example comes near, by task; tasks without any are left out.

    Args:
        examples: rows that a model may have been trained on.
        asked: task name → indices of the items that were used.
    """
    compared = compare_examples(examples)
    out: dict[str, frozenset[int]] = {}
    for task in tasks:
        indices = list(items_asked.get(task.name, ()))
        rows = read_split(task, splits, task.test)
        questions = [write_question(task, rows[index]) for index in indices]
        protected = ProtectedRows(compare_texts(questions))
        protected.count_rows(compared)
        near = frozenset(indices[item] for item in protected.find_covered_items(compared))
        if near:
            out[task.name] = near
    return out


def separate_contaminated(
    name: str,
    result: BenchResult,
    tasks: Sequence[Task],
    contaminated: Mapping[str, frozenset[int]],
) -> Separated:
    """A result's scores on the items that are clean, and on the others."""
    bad = [i for i in result.items if i.index in contaminated.get(i.task, ())]
    good = [i for i in result.items if i.index not in contaminated.get(i.task, ())]
    touched = [task for task in tasks if task.name in contaminated]
    return Separated(name, summarise_metrics(touched, good), summarise_metrics(touched, bad))


def hub_benchmarks(progress: Progress = no_progress) -> dict[str, list[str]]:
    """Benchmark → questions of its test items, read from the Hugging Face hub.

    Raises:
        FetchError: the hub cannot be reached.
    """
    names = {"arc": "ARC", "hellaswag": "HellaSwag", "mmlu": "MMLU", "truthfulqa": "TruthfulQA"}
    splits, tasks = HubSplits(), find_tasks(HUB_TASKS)
    out: dict[str, list[str]] = {}
    for number, task in enumerate(tasks):
        progress(ProgressEvent("fetch benchmarks", number, len(tasks), "tasks"))
        rows = read_split(task, splits, task.test)
        out.setdefault(names[task.benchmark], []).extend(write_question(task, row) for row in rows)
    progress(ProgressEvent("fetch benchmarks", len(tasks), len(tasks), "tasks"))
    return {name: list(dict.fromkeys(texts)) for name, texts in out.items()}
