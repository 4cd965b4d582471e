"""General rows (``data.replay``): which may be trained beside those of the task, and in what order.

Rows that come near a question of ``rounds.guard`` are left out: the guard would otherwise
measure what was learnt by heart, and not what was kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from residency.evaluate.benchmarks.load_rows import read_split, write_question
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.nouns.example import Example
from residency.overlap.compared_rows import compare_examples, compare_texts
from residency.overlap.protected_rows import ProtectedRows
from residency.project.benchmark_files import open_benchmark_files
from residency.project.step_needs import HasFolder
from residency.text.counts import write_count


@dataclass(frozen=True)
class GeneralRows:
    """General rows in the order in which they are taken, and those that come near the guard's
    questions: source and reason."""

    rows: list[Example] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def write_notes(self) -> list[str]:
        """What was left out, in a sentence."""
        if not self.refused:
            return []
        source, reason = self.refused[0]
        rows = write_count(len(self.refused), "replay row")
        return [f"{rows} left out (near a question of rounds.guard), e.g. {source}: {reason}"]


def choose_general_rows(ws: HasFolder, rows: Sequence[Example], seed: int) -> GeneralRows:
    """Rows of the replay split without those near the guard's questions, in a fixed order.

    The order hangs on the seed and the row alone, so that a smaller share is part of a larger one.

    Raises:
        SuiteError: a benchmark of the guard or its files are not there. UserError: no folder is named.
    """
    if not rows:
        return GeneralRows()

    def hash_row(row: Example) -> bytes:
        return hashlib.sha256(f"replay\x1f{seed}\x1f{row.id}".encode()).digest()

    near = _find_near_guard(ws, rows)
    return GeneralRows(
        sorted((row for row in rows if row.id not in near), key=hash_row),
        [(row.source, near[row.id]) for row in rows if row.id in near],
    )


def _find_near_guard(ws: HasFolder, rows: Sequence[Example]) -> dict[str, str]:
    """Ids of rows that come near a question of the guard, with the task and the rule."""
    near: dict[str, str] = {}
    compared = compare_examples(rows)
    for name, questions in read_guard_questions(ws).items():
        protected = ProtectedRows(compare_texts(questions))
        protected.count_rows(compared)
        for hit in protected.find_overlaps(compared):
            near.setdefault(rows[hit.row].id, f"{hit.describe()}: {name}, item {hit.item + 1}")
    return near


def read_guard_questions(ws: HasFolder) -> dict[str, list[str]]:
    """The questions of the benchmarks in ``rounds.guard``, by name.

    Raises:
        SuiteError: a benchmark of the guard or its files are not there. UserError: no folder is named.
    """
    tasks = find_tasks(ws.config.rounds.guard, folder=ws.root)
    if not tasks:
        return {}
    splits = open_benchmark_files(ws, tasks)
    return {
        task.name: [write_question(task, row) for row in read_split(task, splits, task.test)]
        for task in tasks
    }
