"""Every item, and which models failed it: the view that a mean score hides."""

from __future__ import annotations

from dataclasses import dataclass

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.results.run_evidence import Evidence
from residency.results.views import Arm
from residency.results.words import kind_order


@dataclass(frozen=True)
class Cell:
    """One model's answer to one item: the kinds that failed, None where it did not answer."""

    failed: tuple[str, ...] | None

    @property
    def ok(self) -> bool:
        """Answered, and no check failed."""
        return self.failed == ()


@dataclass(frozen=True)
class ItemRow:
    """An item and its cell for each model, in the order of the rounds."""

    example: Example
    cells: tuple[Cell, ...]

    @property
    def change(self) -> str:
        """From the first fine-tuned model's predecessor to the last: fixed, broken, failing, ok."""
        answered = [cell for cell in self.cells if cell.failed is not None]
        if len(answered) < 2:
            return ""
        first, last = answered[0].ok, answered[-1].ok
        if first == last:
            return "ok" if last else "failing"
        return "fixed" if last else "broken"


@dataclass(frozen=True)
class Answer:
    """One model's answer to an item with everything that failed in it."""

    arm: Arm
    response: Response
    failed: list[Finding]


CHANGES = ("fixed", "broken", "failing", "ok")


def item_rows(
    evidence: Evidence, *, kind: str = "", tag: str = "", change: str = ""
) -> list[ItemRow]:
    """Dev items with the failures of each main-arm model; filtered when asked.

    Args:
        kind: only items that some model failed in this kind; cells then show this kind alone.
        tag: only items with this tag.
        change: only items that were fixed, broken, are failing or ok between the first model
            and the last.
    """
    columns = [evidence.failures(arm.model.id, "dev") for arm in main_arms(evidence)]
    rows = []
    for example in evidence.examples("dev"):
        if tag and tag not in example.tags:
            continue
        cells = []
        for column in columns:
            findings = column.get(example.id)
            kinds = None if findings is None else {f.kind for f in findings}
            if kinds is not None and kind:
                kinds &= {kind}
            cells.append(Cell(None if kinds is None else tuple(sorted(kinds, key=kind_order))))
        row = ItemRow(example, tuple(cells))
        if kind and not any(cell.failed for cell in cells):
            continue
        if change and row.change != change:
            continue
        rows.append(row)
    return rows


def main_arms(evidence: Evidence) -> list[Arm]:
    """The models in a row: prompted bases, then each round; control arms left out."""
    return [arm for arm in evidence.arms if arm.arm != "control"]


def answers(evidence: Evidence, example: Example) -> list[Answer]:
    """What every model answered to an item of its split."""
    out = []
    for arm in evidence.arms:
        found = evidence.answers(arm.model.id, example.split).get(example.id)
        if found is None:
            continue
        findings = evidence.findings_by_response(arm.model.id, example.split)
        failed = [f for f in findings.get(found.id, []) if f.status == "fail"]
        failed.sort(key=lambda finding: kind_order(finding.kind))
        out.append(Answer(arm, found, failed))
    return out


def tags(evidence: Evidence) -> list[str]:
    """Every tag of the dev items."""
    return sorted({tag for example in evidence.examples("dev") for tag in example.tags})
