"""HellaSwag: which ending follows, word for word as lm-evaluation-harness 0.4.13 asks it."""

from __future__ import annotations

import re

from residency.evaluate.benchmarks.task import Question, Row, Task


def clean_text(text: str) -> str:
    """HellaSwag's marks of its WikiHow half removed."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def read_hellaswag(row: Row) -> Question:
    context = row["ctx_a"] + " " + row["ctx_b"].capitalize()
    return Question(
        text=clean_text(f"{row['activity_label']}: {context}"),
        choices=tuple(clean_text(ending) for ending in row["endings"]),
        gold=int(row["label"]),
    )


TASKS: tuple[Task, ...] = (
    Task(
        name="hellaswag",
        benchmark="hellaswag",
        subset="",
        read=read_hellaswag,
        metrics=("acc_norm", "acc"),
        test=("validation",),
        shots_from=("train", "validation"),
        shots=10,
        exclude_item=True,
    ),
)
