"""The text before each question: description, examples, and the question itself.

Examples are drawn as lm-evaluation-harness 0.4.13 draws them: Python's generator seeded with
1234 for each task, one draw an item in the order of the items, so an item's examples do not
depend on how many items there are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from residency.errors import SuiteError
from residency.evaluate.benchmarks.task import Question, Row, Task
from residency.text.counts import write_count

SEED = 1234
"""lm-evaluation-harness's default seed for examples."""


def write_contexts(
    task: Task, rows: Sequence[Row], pool: Sequence[Row], shots: int, *, seed: int = SEED
) -> list[str]:
    """One context an item: what stands before its choices.

    Args:
        rows: the items, in order. pool: rows that examples come from.

    Raises:
        SuiteError: the pool has too few rows.
    """
    if task.kind == "rolling":
        return [task.read(row).choices[0] for row in rows]
    need = shots + (task.exclude_item and task.order == "random")
    if shots and len(pool) < need:
        raise SuiteError(
            f"{task.name}: {write_count(shots, 'example')} asked for, the pool holds {len(pool)}",
            next_step="use fewer --shots, or add the split that holds the examples",
        )
    generator = random.Random(seed)
    out = []
    for row in rows:
        examples = _draw_examples(task, row, pool, shots, generator)
        shown = "".join(_write_example(task, example) for example in examples)
        description = task.describe(row) if task.describe else task.description
        question = task.read(row)
        out.append(f"{description}{shown}{_write_question(question, task.target_delimiter)}")
    return out


def _write_example(task: Task, row: Row) -> str:
    """A question with its answer, and what parts it from the next."""
    question = (task.read_example or task.read)(row)
    between, after = task.example_delimiters or (task.target_delimiter, task.fewshot_delimiter)
    answer = question.choices[question.gold]
    if not answer:
        return _write_question(question, between)
    if not question.prefix:
        return f"{question.text}{between}{answer}{after}"
    parted = " " if needs_delimiter(question.prefix, answer) else ""
    return f"{_write_question(question, between)}{parted}{answer}{after}"


def _write_question(question: Question, delimiter: str) -> str:
    """The question, and the words that begin every answer where the task has such."""
    if not question.prefix:
        return question.text
    parted = delimiter if needs_delimiter(question.text, question.prefix) else ""
    return f"{question.text}{parted}{question.prefix}"


def needs_delimiter(before: str, after: str) -> bool:
    """Whether two texts meet without white space between them."""
    return bool(before and after) and not (before[-1].isspace() or after[0].isspace())


def _draw_examples(
    task: Task, row: Row, pool: Sequence[Row], shots: int, generator: random.Random
) -> list[Row]:
    if not shots:
        return []
    if task.order == "first":
        others = [other for other in pool if other != row] if task.exclude_item else list(pool)
        return others[:shots]
    if not task.exclude_item:
        return generator.sample(list(pool), shots)
    drawn = [other for other in generator.sample(list(pool), shots + 1) if other != row]
    if len(drawn) < shots:  # the pool holds the item twice
        drawn = generator.sample([other for other in pool if other != row], shots)
    return drawn[:shots]


def write_continuations(task: Task, question: Question) -> list[str]:
    """The choices as they follow the context."""
    delimiter = "" if task.kind == "likelihood" else task.target_delimiter
    return [f"{delimiter}{choice}" for choice in question.choices]
