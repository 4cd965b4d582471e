"""ARC: grade-school science questions, word for word as lm-evaluation-harness 0.4.13 asks them."""

from __future__ import annotations

from residency.evaluate.benchmarks.task import Question, Row, Task


def read_arc(row: Row) -> Question:
    labels = list(row["choices"]["label"])
    return Question(
        text=f"Question: {row['question']}\nAnswer:",
        choices=tuple(row["choices"]["text"]),
        gold=labels.index(row["answerKey"]),
    )


TASKS: tuple[Task, ...] = tuple(
    Task(
        name=name,
        benchmark="arc",
        subset=subset,
        read=read_arc,
        metrics=("acc_norm", "acc"),
        test=("test", "validation"),
        shots_from=("train",),
        shots=25,
    )
    for name, subset in (("arc_easy", "ARC-Easy"), ("arc_challenge", "ARC-Challenge"))
)
"""ARC's two halves."""
