"""How far a detector can be trusted: precision and recall against human labels.

``labelled.jsonl`` holds short answers, written and labelled by hand with hard cases among
them, that come with the package. A project's labels say more: pass them to ``quality``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.detectors.registry import DETECTORS
from residency.diagnose.run_detectors import run_detectors
from residency.files.own_lines import split_lines
from residency.interfaces import Embedder
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.intervals import clopper_pearson


@dataclass(frozen=True)
class Quality:
    """A detector against labels, on the responses that it scored and people labelled.

    ``precision`` and ``recall`` are None where nothing was flagged, or nothing was wrong. The
    bounds are exact 95 % intervals.
    """

    detector: str
    version: str
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    wrong: tuple[str, ...] = ()
    """Responses on which detector and label disagree."""

    @property
    def n(self) -> int:
        """Labelled and scored responses."""
        return (
            self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
        )

    @property
    def precision(self) -> float | None:
        """Share of the flagged that are wrong by label."""
        return _take_share(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of the wrong by label that are flagged."""
        return _take_share(self.true_positives, self.false_negatives)

    @property
    def precision_bounds(self) -> tuple[float, float]:
        """Exact 95 % interval of the precision."""
        return clopper_pearson(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall_bounds(self) -> tuple[float, float]:
        """Exact 95 % interval of the recall."""
        return clopper_pearson(self.true_positives, self.true_positives + self.false_negatives)


def measure_quality(
    findings: Iterable[Finding], labels: Mapping[tuple[str, str], bool]
) -> dict[str, Quality]:
    """Precision and recall by detector.

    Args:
        labels: (response id, kind) → whether a person says that it has this error. Pairs
            without a label are left out, and so are unscored findings.
    """
    counts: dict[str, list[int]] = {}
    versions: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for finding in findings:
        truth = labels.get((finding.response, finding.kind))
        if truth is None or finding.status == "unscored":
            continue
        versions[finding.detector] = finding.version
        cell = counts.setdefault(finding.detector, [0, 0, 0, 0])
        flagged = finding.status == "fail"
        cell[(0 if truth else 1) if flagged else (2 if truth else 3)] += 1
        if flagged != truth:
            wrong.setdefault(finding.detector, []).append(finding.response)
    return {
        name: Quality(name, versions[name], hit, alarm, miss, rest, tuple(wrong.get(name, ())))
        for name, (hit, alarm, miss, rest) in counts.items()
    }


def detector_quality(
    embedder: Embedder, config: DiagnoseConfig | None = None
) -> dict[str, Quality]:
    """The detectors' quality on the labelled answers that come with the package."""
    examples, responses, labels = load_labelled()
    findings = run_detectors(
        examples,
        responses,
        known_words=set(),
        embedder=embedder,
        config=config or DiagnoseConfig(),
        max_new_tokens=128,
        names=list(DETECTORS),
        label_values=_LABELS,
    )
    return measure_quality(findings, labels)


_LABELS = {
    "problem": {"overheating", "leak", "noise", "no power", "broken part"},
    "urgency": {"low", "normal", "high"},
}


def load_labelled() -> tuple[list[Example], list[Response], dict[tuple[str, str], bool]]:
    """The packaged answers as examples, responses and labels by (response id, kind)."""
    text = resources.files("residency.diagnose").joinpath("labelled.jsonl").read_text("utf-8")
    examples: dict[str, Example] = {}
    responses = []
    labels = {}
    for number, line in enumerate(split_lines(text)):
        row = json.loads(line)
        turns = [Message("user", row["prompt"], input=row.get("input", ""))]
        if "reference" in row:
            turns.append(Message("assistant", row["reference"]))
        example = Example(tuple(turns), split="dev", group=row.get("group", ""))
        examples[example.id] = example
        # Answers to one prompt by different models: only those of a group are compared.
        model = f"group {row['group']}" if "group" in row else f"row {number}"
        response = Response(model, example.id, row["response"], finish=row.get("finish", "stop"))
        responses.append(response)
        for kind in DETECTORS:
            labels[response.id, kind] = kind in row["errors"]
    return list(examples.values()), responses, labels


def _take_share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
