"""Two logs of other programs as the two sides of a paired comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from residency.errors import DataError
from residency.evaluate.imported_logs.logged_items import ImportedLog, ItemKey
from residency.stats.paired_changes import PairedChange, PairedQuestion, compare_changes
from residency.text.counts import write_count

LOWER_IS_BETTER = (
    "perplexity", "bits_per_byte", "brier", "ter", "wer", "cer", "loss", "mse", "mae", "rmse", "error",
    "latency", "cost", "toxicity", "hallucination",
)  # fmt: skip
"""Words of metrics of which less is better; of all others more is."""


@dataclass(frozen=True)
class LogComparison:
    """Two logs, metric by metric.

    Attributes:
        changes: a measure for each task and metric. ``before`` and ``after`` are failures: 1 minus
            the score where it lies in [0, 1] and more is better, the score itself where less is
            better, minus the score otherwise.
        unscored: measure → items unscored on the earlier and on the later side.
        alone: items that only the earlier or only the later log has. left_out: metric → reason.
        incomplete: side and label → why it does not hold its whole evaluation.
    """

    before: str
    after: str
    changes: list[PairedChange]
    unscored: dict[str, tuple[int, int]]
    alone: tuple[int, int]
    left_out: dict[str, str] = field(default_factory=dict)
    incomplete: dict[str, str] = field(default_factory=dict)


def compare_logs(
    before: ImportedLog,
    after: ImportedLog,
    *,
    alpha: float = 0.05,
    margin: float = 0.05,
    coverage: float = 0.9,
) -> LogComparison:
    """Every metric that both have, item by item, all of them counted as one family.

    Several samples of an item are one figure, their mean. Items are paired by task and id (a hash
    of the document in lm-eval, of the variables in promptfoo).

    Raises:
        DataError: no item is in both, an item has another prompt or another target,
            or no metric is in both.
    """
    _name_tasks(before, after)
    shared = [key for key in before.items if key in after.items]
    if not shared:
        raise DataError(
            f"the logs have no item in common: {_describe_tasks(before)}; {_describe_tasks(after)}",
            where=f"{before.label} and {after.label}",
            next_step="run both on the same task and data",
        )
    _check_prompts(before, after, shared)
    left_out = {**before.left_out, **after.left_out}
    questions, unscored = [], {}
    for task, metrics in before.metrics.items():
        later = after.metrics.get(task, [])
        for metric in metrics:
            name = f"{task} {metric}".strip()
            if metric not in later:
                left_out[name] = "only the earlier log has it"
                continue
            question = _ask(before, after, task, metric, name)
            scored = any(value is not None for value in question.before.values())
            if not scored and not any(v is not None for v in question.after.values()):
                left_out[name] = "no item was scored on either side"
                continue
            questions.append(question)
            unscored[name] = (_count_unscored(question.before), _count_unscored(question.after))
        for metric in later:
            if metric not in metrics:
                left_out[f"{task} {metric}".strip()] = "only the later log has it"
    if not questions:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise DataError(
            f"the logs have no metric in common that has a figure an item ({reasons or 'none at all'})",
            where=f"{before.label} and {after.label}",
        )
    changes = compare_changes(questions, alpha=alpha, margin=margin, coverage=coverage)
    alone = len(before.items) - len(shared), len(after.items) - len(shared)
    incomplete = {
        f"{side} log, {log.label}": log.incomplete
        for side, log in (("earlier", before), ("later", after))
        if log.incomplete
    }
    return LogComparison(before.label, after.label, changes, unscored, alone, left_out, incomplete)


def _name_tasks(before: ImportedLog, after: ImportedLog) -> None:
    """A log whose file tells no task is of the other's, where that has a single one."""
    for log, other in ((before, after), (after, before)):
        if log.only_task == "" and other.only_task:
            log.name_task(other.only_task)


def _describe_tasks(log: ImportedLog) -> str:
    tasks = sorted({key.task or "one task" for key in log.items})
    return f"{write_count(len(log.items), 'item')} of {', '.join(tasks[:4])} in {log.label}"


def _check_prompts(before: ImportedLog, after: ImportedLog, shared: Iterable[ItemKey]) -> None:
    """Refuse pairs whose prompts differ."""
    for what, attribute in (
        ("asked with another prompt", "prompt"),
        ("judged by another target", "target"),
    ):
        other = [
            key
            for key in shared
            if getattr(before.items[key], attribute) != getattr(after.items[key], attribute)
        ]
        if other:
            name = f"{other[0].task} {after.items[other[0]].name}".strip()
            raise DataError(
                f"{write_count(len(other), 'item was', 'items were')} {what} in the other log, first {name}",
                where=f"{before.label} and {after.label}",
                next_step="run both with the same prompts, examples and template",
            )


def _ask(
    before: ImportedLog, after: ImportedLog, task: str, metric: str, name: str
) -> PairedQuestion:
    values = [
        {key: item.value(metric) for key, item in log.items.items() if key.task == task}
        for log in (before, after)
    ]
    known = [value for side in values for value in side.values() if value is not None]
    bounded = all(0 <= value <= 1 for value in known)
    less = is_lower_better(metric)

    def turn(value: float | None) -> float | None:
        if value is None or less:
            return value
        return 1 - value if bounded else -value

    then, now = ({f"{k.task}\x1f{k.item}": turn(v) for k, v in side.items()} for side in values)
    return PairedQuestion(name, then, now, bounded=bounded)


def is_lower_better(metric: str) -> bool:
    """Whether less of this metric is better, by its name."""
    words = metric.lower().replace("-", "_").partition(",")[0]
    return any(
        words == word or words.endswith(f"_{word}") or words.startswith(f"{word}_")
        for word in LOWER_IS_BETTER
    )


def _count_unscored(side: object) -> int:
    assert isinstance(side, dict)
    return sum(value is None for value in side.values())
