"""Everyday: 200 simple questions in the package, so that a guard against forgetting needs no download.

Capitals, opposites, sums, where things were put, word forms, and what everybody knows. They are easy
on purpose: a model that loses them has lost more than a subject.
"""

from __future__ import annotations

from pathlib import Path

from residency.evaluate.benchmarks.task import Question, Row, Task


def read_everyday(row: Row) -> Question:
    return Question(
        text=f"Question: {row['question']}\nAnswer:",
        choices=tuple(row["choices"]),
        gold=int(row["answer"]),
    )


TASKS: tuple[Task, ...] = (
    Task(
        name="everyday",
        benchmark="everyday",
        subset="",
        read=read_everyday,
        metrics=("acc", "acc_norm"),
        test=("test",),
        files={"test": (Path(__file__).with_suffix(".jsonl"),)},
    ),
)
"""One task of 200 items, without examples in the prompt."""
