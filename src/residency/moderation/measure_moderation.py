"""How far the judges can be trusted: precision and recall on labelled texts, by language.

``labelled.jsonl`` holds short texts in seven languages, written and labelled for this purpose with
hard cases among them. They are few: the intervals say how little they tell. A text is labelled with
what a person sees in it, also where no form tells it (a name, a password in a sentence).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from residency.config.moderation import PERSONAL, JudgeGroup
from residency.files.own_lines import split_lines
from residency.moderation.judge import TextJudge
from residency.stats.intervals import clopper_pearson

JOINT = "‖"
"""Stands within keys in the file, so that nobody's scanner takes them for real; taken out here."""


@dataclass(frozen=True)
class LabelledText:
    """A text, its language, and what a person sees in it (groups of the settings)."""

    text: str
    language: str
    kinds: frozenset[str]

    def holds(self, group: JudgeGroup) -> bool:
        """Whether a judge of this group should see something here."""
        return any(
            kind == group or (group == "personal" and kind in PERSONAL) for kind in self.kinds
        )


@dataclass(frozen=True)
class JudgeQuality:
    """A judge against labels. ``language`` is empty for all of them together.

    ``milliseconds`` is the median time of one text.
    """

    judge: str
    language: str
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    milliseconds: float

    @property
    def n(self) -> int:
        """Labelled texts."""
        return (
            self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
        )

    @property
    def precision(self) -> float | None:
        """Share of the flagged that a person flags; None where nothing was flagged."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of what a person flags that the judge flags; None where there is nothing."""
        wanted = self.true_positives + self.false_negatives
        return self.true_positives / wanted if wanted else None

    @property
    def precision_bounds(self) -> tuple[float, float]:
        """Exact 95 % interval of the precision."""
        return clopper_pearson(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall_bounds(self) -> tuple[float, float]:
        """Exact 95 % interval of the recall."""
        return clopper_pearson(self.true_positives, self.true_positives + self.false_negatives)


def load_labelled() -> list[LabelledText]:
    """The texts that come with the package."""
    source = resources.files("residency.moderation").joinpath("labelled.jsonl")
    rows = [json.loads(line) for line in split_lines(source.read_text("utf-8"))]
    return [
        LabelledText(row["text"].replace(JOINT, ""), row["language"], frozenset(row["kinds"]))
        for row in rows
    ]


def measure_judge(
    judge: TextJudge, texts: Sequence[LabelledText], *, language: str = ""
) -> JudgeQuality:
    """A judge's quality on texts, or on those of one language."""
    cells = [0, 0, 0, 0]
    seconds = []
    for text in texts:
        if language and text.language != language:
            continue
        start = time.perf_counter()
        flagged = bool(judge.find(text.text))
        seconds.append(time.perf_counter() - start)
        truth = text.holds(judge.group)
        cells[(0 if truth else 1) if flagged else (2 if truth else 3)] += 1
    middle = sorted(seconds)[len(seconds) // 2] if seconds else 0.0
    hit, alarm, miss, rest = cells
    return JudgeQuality(judge.version, language, hit, alarm, miss, rest, 1000 * middle)


def measure_judges(
    judges: Iterable[TextJudge], texts: Sequence[LabelledText]
) -> list[JudgeQuality]:
    """Each judge on all texts, then on those of each language."""
    languages = ["", *dict.fromkeys(text.language for text in texts)]
    return [
        measure_judge(judge, texts, language=language) for judge in judges for language in languages
    ]
