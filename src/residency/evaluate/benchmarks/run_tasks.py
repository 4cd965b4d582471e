"""Asks a model the benchmarks' items and adds up the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from residency.evaluate.benchmarks.load_rows import Splits, read_split
from residency.evaluate.benchmarks.prompts import write_contexts, write_continuations
from residency.evaluate.benchmarks.score_items import (
    ItemResult,
    Metric,
    average_metric,
    item_values,
    pool_metrics,
    score_whole_text,
)
from residency.evaluate.benchmarks.task import Question, Row, Task
from residency.interfaces import (
    Choice,
    ChoiceScore,
    Progress,
    TextModel,
    TextRequest,
    no_progress,
)
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
                for name, m in task_metrics.items()
            }
            for task, task_metrics in self.metrics.items()
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
                for name, m in task_metrics.items()
            }
            for task, task_metrics in raw["metrics"].items()
        }
        items = [
            ItemResult(**{**item, "logprobs": tuple(item["logprobs"])}) for item in raw["items"]
        ]
        return BenchResult(metrics, items, dict(raw["shots"]))


@dataclass(frozen=True)
class TaskRequests:
    """The items of one task as requests: in log-likelihoods, or in texts.

    Attributes:
        rows, questions, contexts: the items. requests: choices of each, where they are scored.
        texts: what is gone on from, where the answer is written.
    """

    task: Task
    rows: list[Row]
    questions: list[Question]
    contexts: list[str]
    requests: list[list[Choice]]
    texts: list[TextRequest]

    @property
    def lines(self) -> list[str]:
        """Every request as text: equal lines are equal questions."""
        scored = [f"{c.context}\x1f{c.continuation}" for request in self.requests for c in request]
        if self.task.kind == "rolling":
            return self.contexts
        return scored + [f"{t.prompt}\x1f{t.stop}\x1f{t.max_tokens}" for t in self.texts]


def write_requests(
    task: Task, splits: Splits, *, limit: int = 0, shots: int | None = None
) -> TaskRequests:
    """The first ``limit`` items of a task (all when 0) as requests.

    Raises:
        SuiteError: a split is missing, or a row is not of the benchmark's layout.
    """
    rows = list(read_split(task, splits, task.test))
    rows = rows[:limit] if limit else rows
    count = count_shots(task, shots)
    examples: Sequence[Row] = task.examples
    if count and not examples:
        examples = read_split(task, splits, task.shots_from)
    contexts = write_contexts(task, rows, examples, count)
    questions = [task.read(row) for row in rows]
    requests: list[list[Choice]] = []
    texts: list[TextRequest] = []
    if task.generation:
        how = task.generation
        texts = [TextRequest(context, how.stop, how.max_tokens) for context in contexts]
    elif task.kind != "rolling":
        requests = [
            [Choice(context, text) for text in write_continuations(task, question)]
            for question, context in zip(questions, contexts, strict=True)
        ]
    return TaskRequests(task, rows, questions, contexts, requests, texts)


def count_shots(task: Task, shots: int | None) -> int:
    """Examples before each question: ``shots``, or the task's number."""
    if task.kind == "rolling" or not (task.shots_from or task.examples):
        return 0
    return task.shots if shots is None else shots


def run_tasks(
    tasks: Sequence[Task],
    splits: Splits,
    model: TextModel,
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
    all_requests = [write_requests(task, splits, limit=limit, shots=shots) for task in tasks]
    scores = iter(
        model.score(
            [request for requests in all_requests for request in requests.requests],
            progress=progress,
        )
    )
    items: list[ItemResult] = []
    for requests in all_requests:
        if requests.task.kind == "generation":
            items += _rate_answers(requests, model.complete(requests.texts, progress=progress))
        elif requests.task.kind == "rolling":
            items += _rate_texts(requests, model.score_texts(requests.contexts, progress=progress))
        else:
            items += [
                _rate_choices(requests, index, next(scores)) for index in range(len(requests.rows))
            ]
    used = {task.name: count_shots(task, shots) for task in tasks}
    return BenchResult(summarise_metrics(tasks, items), items, used)


def _rate_choices(
    task_requests: TaskRequests, index: int, scores: Sequence[ChoiceScore]
) -> ItemResult:
    task, question = task_requests.task, task_requests.questions[index]
    sums = tuple(score.logprob for score in scores)
    values = item_values(question, scores, task.kind)
    return ItemResult(
        task=task.name,
        index=index,
        prompt=hash_text(task_requests.contexts[index]),
        logprobs=sums,
        gold=question.gold,
        chosen=max(range(len(sums)), key=sums.__getitem__),
        values={name: values[name] for name in task.metrics},
    )


def _rate_answers(task_requests: TaskRequests, answers: Sequence[str]) -> list[ItemResult]:
    """Answers that were written. Where the first row lists its right answers, every row does."""
    how = task_requests.task.generation
    assert how is not None
    items = []
    for index, (row, question, answer) in enumerate(
        zip(task_requests.rows, task_requests.questions, answers, strict=True)
    ):
        targets = question.targets
        if question.many and not task_requests.questions[0].many:
            targets = (str(list(question.targets)),)
        values = how.score_answer(answer, row, targets)
        prompt = hash_text(task_requests.contexts[index])
        items.append(
            ItemResult(task_requests.task.name, index, prompt, (), 0, 0, values, answer=answer)
        )
    return items


def _rate_texts(task_requests: TaskRequests, sums: Sequence[float]) -> list[ItemResult]:
    items = []
    for index, (text, logprob) in enumerate(zip(task_requests.contexts, sums, strict=True)):
        values, weights = score_whole_text(text, logprob)
        items.append(
            ItemResult(
                task=task_requests.task.name,
                index=index,
                prompt=hash_text(text),
                logprobs=(logprob,),
                gold=0,
                chosen=0,
                values={name: values[name] for name in task_requests.task.metrics},
                weights={name: weights[name] for name in task_requests.task.metrics},
            )
        )
    return items


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
        task_items = by_task.get(task.name)
        if not task_items:
            continue
        out[task.name] = {
            m: average_metric(
                m, [i.values[m] for i in task_items], [i.weights.get(m, 1.0) for i in task_items]
            )
            for m in task.metrics
        }
        for group in task.groups:
            groups.setdefault(group, []).append(task.name)
    for group, names in groups.items():
        if len(names) > 1:
            out[group] = {m: pool_metrics([out[name][m] for name in names]) for m in out[names[0]]}
    return out
