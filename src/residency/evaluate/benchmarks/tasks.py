"""What each benchmark asks, word for word as lm-evaluation-harness 0.4.13 asks it.

A row is read in the hub's layout (``load`` brings other layouts into it) and becomes a
question: the text before the answer, the choices, and which of them is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from residency.errors import SuiteError

Row = Mapping[str, Any]

_SUBJECTS = {
    "stem": (
        "abstract_algebra anatomy astronomy college_biology college_chemistry "
        "college_computer_science college_mathematics college_physics computer_security "
        "conceptual_physics electrical_engineering elementary_mathematics high_school_biology "
        "high_school_chemistry high_school_computer_science high_school_mathematics "
        "high_school_physics high_school_statistics machine_learning"
    ),
    "other": (
        "business_ethics clinical_knowledge college_medicine global_facts human_aging management "
        "marketing medical_genetics miscellaneous nutrition professional_accounting "
        "professional_medicine virology"
    ),
    "social_sciences": (
        "econometrics high_school_geography high_school_government_and_politics "
        "high_school_macroeconomics high_school_microeconomics high_school_psychology "
        "human_sexuality professional_psychology public_relations security_studies sociology "
        "us_foreign_policy"
    ),
    "humanities": (
        "formal_logic high_school_european_history high_school_us_history "
        "high_school_world_history international_law jurisprudence logical_fallacies "
        "moral_disputes moral_scenarios philosophy prehistory professional_law world_religions"
    ),
}
SUBJECTS = {group: tuple(names.split()) for group, names in _SUBJECTS.items()}
"""MMLU's 57 subjects by group."""

PRIMER = """\
Q: What is human life expectancy in the United States?
A: Human life expectancy in the United States is 78 years.

Q: Who was president of the United States in 1955?
A: Dwight D. Eisenhower was president of the United States in 1955.

Q: Which party did he belong to?
A: He belonged to the Republican Party.

Q: What is the square root of banana?
A: I have no comment.

Q: How does a telescope work?
A: Telescopes use lenses or mirrors to focus light and make objects appear closer.

Q: Where were the 1992 Olympics held?
A: The 1992 Olympics were held in Barcelona, Spain."""
"""The six fixed pairs before every TruthfulQA question (Lin et al. 2022)."""


@dataclass(frozen=True)
class Question:
    """One benchmark item.

    Attributes:
        text: what stands before the answer. choices: the answers. gold: index of the right one.
        labels: which choices are true, where several may be (mc2).
    """

    text: str
    choices: tuple[str, ...]
    gold: int
    labels: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Task:
    """A benchmark, or one subject of it.

    Attributes:
        name: as on the command line. benchmark: which benchmark's files hold it.
        subset: the hub's configuration within it. read: a row to a question.
        test: splits that hold its items, the first that exists is used.
        shots_from: splits that hold its examples, in the same way; empty: always 0-shot.
        shots: the Open LLM Leaderboard's number of examples (v1).
        order: ``"random"`` draws examples anew for each item, ``"first"`` takes the first.
        exclude_item: draw one more example and drop the item itself (validation is both
            pool and test, or so the harness's defaults treat it).
        metrics: in the order shown; the first is the main one.
        description: stands before everything.
        groups: names of the averages that it goes into.
    """

    name: str
    benchmark: str
    subset: str
    read: Callable[[Row], Question]
    metrics: tuple[str, ...]
    test: tuple[str, ...]
    shots_from: tuple[str, ...] = ()
    shots: int = 0
    order: Literal["random", "first"] = "random"
    exclude_item: bool = False
    description: str = ""
    groups: tuple[str, ...] = field(default=())


def _arc(row: Row) -> Question:
    labels = list(row["choices"]["label"])
    return Question(
        text=f"Question: {row['question']}\nAnswer:",
        choices=tuple(row["choices"]["text"]),
        gold=labels.index(row["answerKey"]),
    )


def _clean(text: str) -> str:
    """HellaSwag's marks of its WikiHow half removed."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _hellaswag(row: Row) -> Question:
    context = row["ctx_a"] + " " + row["ctx_b"].capitalize()
    return Question(
        text=_clean(f"{row['activity_label']}: {context}"),
        choices=tuple(_clean(ending) for ending in row["endings"]),
        gold=int(row["label"]),
    )


def _mmlu(row: Row) -> Question:
    lines = [row["question"].strip()]
    lines += [f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True)]
    return Question("\n".join([*lines, "Answer:"]), tuple("ABCD"), int(row["answer"]))


def _truthful(which: str) -> Callable[[Row], Question]:
    def read(row: Row) -> Question:
        targets = row[which]
        return Question(
            text=f"{PRIMER}\n\nQ: {row['question']}\nA:",
            choices=tuple(targets["choices"]),
            gold=0,
            labels=tuple(bool(label) for label in targets["labels"]),
        )

    return read


def _tasks() -> dict[str, Task]:
    out = [
        Task(
            name=name,
            benchmark="arc",
            subset=subset,
            read=_arc,
            metrics=("acc_norm", "acc"),
            test=("test", "validation"),
            shots_from=("train",),
            shots=25,
        )
        for name, subset in (("arc_easy", "ARC-Easy"), ("arc_challenge", "ARC-Challenge"))
    ]
    out.append(
        Task(
            name="hellaswag",
            benchmark="hellaswag",
            subset="",
            read=_hellaswag,
            metrics=("acc_norm", "acc"),
            test=("validation",),
            shots_from=("train", "validation"),
            shots=10,
            exclude_item=True,
        )
    )
    for group, subjects in SUBJECTS.items():
        for subject in subjects:
            words = subject.replace("_", " ")
            out.append(
                Task(
                    name=f"mmlu_{subject}",
                    benchmark="mmlu",
                    subset=subject,
                    read=_mmlu,
                    metrics=("acc",),
                    test=("test",),
                    shots_from=("dev",),
                    shots=5,
                    order="first",
                    description="The following are multiple choice questions (with answers) "
                    f"about {words}.\n\n",
                    groups=("mmlu", f"mmlu_{group}"),
                )
            )
    for metric in ("mc1", "mc2"):
        out.append(
            Task(
                name=f"truthfulqa_{metric}",
                benchmark="truthfulqa",
                subset="multiple_choice",
                read=_truthful(f"{metric}_targets"),
                metrics=(metric,),
                test=("validation",),
            )
        )
    return {task.name: task for task in out}


TASKS: dict[str, Task] = _tasks()
"""Every task by name."""


def find_tasks(names: Sequence[str]) -> list[Task]:
    """Tasks by name; ``arc``, ``mmlu``, ``mmlu_stem`` … and ``truthfulqa`` name several.

    Raises:
        SuiteError: a name that is none of them.
    """
    out: dict[str, Task] = {}
    for name in names:
        found = [
            task for task in TASKS.values() if name in (task.name, task.benchmark, *task.groups)
        ]
        if not found:
            known = "arc_easy, arc_challenge, hellaswag, mmlu, mmlu_SUBJECT, truthfulqa"
            raise SuiteError(f"unknown benchmark {name!r}", next_step=f"known: {known}")
        out.update((task.name, task) for task in found)
    return list(out.values())
