"""Answers from a closed set: accuracy, macro-F1, the confusion of classes, and lines to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.evaluate.suites.rules.choices import Choices
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example
from residency.text.normal_form import normalise_answer

OTHER = "(none of the classes)"
"""What an answer outside the set is counted as: always wrong."""
MOST_CLASSES = 50
_ROWS_A_CLASS = 3


@dataclass(frozen=True)
class ClosedSet:
    """How well classes are told apart.

    Attributes:
        classes: in normal form, the most frequent first. accuracy, macro_f1: shares; macro-F1 is
            the mean over the classes that occur in the references.
        majority: the most frequent class; majority_share: the accuracy of always saying it.
        confusion: class → what was answered → number of items; wrong answers are where the two
            differ, and ``OTHER`` collects the answers outside the set.
    """

    classes: tuple[str, ...]
    items: int
    accuracy: float
    macro_f1: float
    majority: str
    majority_share: float
    confusion: Mapping[str, Mapping[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "classes": list(self.classes),
            "items": self.items,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "majority": self.majority,
            "majority_share": self.majority_share,
            "confusion": {name: dict(row) for name, row in self.confusion.items()},
        }


def find_classes(suite: Suite, examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes of the task in normal form; empty where answers are no closed set.

    They are those of a ``choices`` rule over the whole answer, or the references themselves where
    at most fifty recur (three items or more to a class on average) and the suite compares exactly.
    """
    for rule in suite.rules:
        if isinstance(rule, Choices) and rule.compare and not rule.field:
            return tuple(dict.fromkeys(map(normalise_answer, rule.choices)))
    if not any(rule.NAME == "exact" and not rule.field for rule in suite.rules):
        return ()
    class_counts = Counter(
        normalise_answer(_read_reference(suite, example.reference))
        for example in examples
        if example.reference is not None
    )
    few = 2 <= len(class_counts) <= MOST_CLASSES and class_counts.total() >= _ROWS_A_CLASS * len(
        class_counts
    )
    return tuple(name for name, _ in class_counts.most_common()) if few else ()


def _read_reference(suite: Suite, reference: str) -> str:
    """The part of a reference that answers are compared with."""
    answer = suite.extract.find_answer(reference) if suite.extract else None
    return answer.text if answer else reference


def measure_closed_set(
    classes: Sequence[str], references: Mapping[str, str], answers: Mapping[str, Sequence[str]]
) -> ClosedSet | None:
    """Accuracy and confusion of answers (item → texts, one a sample); None without classes.

    Counted are the items that were answered. An answer outside the set is wrong; of several samples
    the class that most of them say counts, and a draw is not right.
    """
    references = {item: text for item, text in references.items() if answers.get(item)}
    if not classes or not references:
        return None
    confusion: dict[str, Counter[str]] = {}
    for item, reference in references.items():
        wanted = normalise_answer(reference)
        answer_counts = Counter(_find_class(text, classes) for text in answers[item])
        chosen = max(answer_counts, key=lambda name: (answer_counts[name], name != wanted))
        # A draw of three and more is no majority for the right one either.
        if chosen == wanted and 2 * answer_counts[wanted] <= answer_counts.total():
            chosen = max(
                (name for name in answer_counts if name != wanted),
                key=lambda name: answer_counts[name],
            )
        confusion.setdefault(wanted, Counter())[chosen] += 1
    right = sum(row[name] for name, row in confusion.items())
    sizes = Counter({name: row.total() for name, row in confusion.items()})
    majority, count = sizes.most_common(1)[0]
    scores = [_f1_of(name, confusion) for name in confusion]
    return ClosedSet(
        classes=tuple(classes),
        items=len(references),
        accuracy=right / len(references),
        macro_f1=sum(scores) / len(scores),
        majority=majority,
        majority_share=count / len(references),
        confusion={name: dict(row) for name, row in confusion.items()},
    )


def _find_class(text: str, classes: Sequence[str]) -> str:
    answer = normalise_answer(text)
    return answer if answer in classes else OTHER


def _f1_of(name: str, confusion: Mapping[str, Counter[str]]) -> float:
    """2·TP / (2·TP + FP + FN) of one class."""
    hits = confusion[name][name]
    answered = sum(row[name] for row in confusion.values())
    wanted = confusion[name].total()
    return 2 * hits / (answered + wanted)
