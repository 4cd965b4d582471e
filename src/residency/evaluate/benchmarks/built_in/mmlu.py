"""MMLU: 57 subjects, word for word as lm-evaluation-harness 0.4.13 asks them."""

from __future__ import annotations

from residency.evaluate.benchmarks.task import Question, Row, Task

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


def read_mmlu(row: Row) -> Question:
    lines = [row["question"].strip()]
    lines += [f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True)]
    return Question("\n".join([*lines, "Answer:"]), tuple("ABCD"), int(row["answer"]))


def _make_task(group: str, subject: str) -> Task:
    words = subject.replace("_", " ")
    return Task(
        name=f"mmlu_{subject}",
        benchmark="mmlu",
        subset=subject,
        read=read_mmlu,
        metrics=("acc",),
        test=("test",),
        shots_from=("dev",),
        shots=5,
        order="first",
        description=f"The following are multiple choice questions (with answers) about {words}.\n\n",
        groups=("mmlu", f"mmlu_{group}"),
    )


TASKS: tuple[Task, ...] = tuple(
    _make_task(group, subject) for group, subjects in SUBJECTS.items() for subject in subjects
)
"""One task a subject."""
