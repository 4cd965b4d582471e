"""A judge model on a project's stored answers, people's labels, and what they say together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.errors import EndpointError, StoreError, UserError
from residency.evaluate.judge.agreement import (
    Agreement,
    CorrectedRate,
    corrected_rate,
    measure_agreement,
)
from residency.evaluate.judge.judge import Judge, JudgeReport, list_verdicts
from residency.evaluate.judge.prompts import Rubric
from residency.loop.judge_model import make_judge
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Split, by_id
from residency.nouns.finding import Finding
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.named_models import find_model, label_model
from residency.project.workspace import Workspace
from residency.stats.intervals import clopper_pearson
from residency.stats.sample_reducer import Reduce, kind_outcomes
from residency.store.record_kind import RecordKind

__all__ = [
    "Judged",
    "Rubric",
    "add_label",
    "judge",
    "labels",
    "make_judge",
    "rubric_key",
    "stored_answers",
    "to_label",
    "unconstrained",
]

VERDICT = RecordKind.JUDGED
LABEL = RecordKind.LABEL


@dataclass(frozen=True, repr=False)
class Judged(ShortView):
    """What a judge said about a model's answers, and how far to trust it.

    Attributes:
        report: findings and counts of what could not be used.
        passes, scored, items: items that the judge passed, those with a valid verdict, and all;
            several samples of an item count as one (``evaluate.reduce``).
        low, high: exact interval of the judge's pass rate.
        agreement: with the people's labels on the same answers (None: no label yet).
        corrected: the pass rate corrected for the judge's errors, on the answers without a label;
            None where items have several samples, since the errors are those of single answers.
        unconstrained: the server's words when it refused to keep to the verdict's schema.
    """

    model: Model
    label: str
    report: JudgeReport
    passes: int
    scored: int
    items: int
    low: float
    high: float
    agreement: Agreement | None
    corrected: CorrectedRate | None
    unconstrained: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        corrected = self.corrected
        return {
            "model": self.model.id,
            "label": self.label,
            "responses": len(self.report.findings),
            "scored": self.scored,
            "passes": self.passes,
            "rate": self.passes / self.scored if self.scored else None,
            "interval": [self.low, self.high],
            "flipped": self.report.flipped,
            "invalid": self.report.invalid,
            "failed": self.report.failed,
            "unconstrained": self.unconstrained,
            "asked": self.report.questions,
            "cached": self.report.cached,
            "agreement": self.agreement.to_dict() if self.agreement else None,
            "corrected": None
            if corrected is None
            else {
                "rate": corrected.rate,
                "interval": [corrected.low, corrected.high],
                "n": corrected.n,
                "usable": corrected.usable,
            },
        }


def unconstrained(who: Judge) -> str:
    """What the judge's server said when it refused to keep to the verdict's schema, or nothing."""
    return str(getattr(who.generator, "refused_format", ""))


def judge(
    ws: Workspace,
    who: Judge,
    rubric: Rubric,
    *,
    model: str = "final",
    split: Split = "dev",
    limit: int = 0,
) -> Judged:
    """Judge a model's stored answers by one criterion; findings and figures are stored.

    Args:
        limit: items at most, the first ones; 0 takes all.

    Raises:
        StoreError: the model has no stored answers. UserError: the test split is sealed.
        EndpointError: every single request failed.
    """
    judged_model, examples, responses = stored_answers(ws, model, split)
    if limit:
        examples = examples[:limit]
        responses = [r for r in responses if r.example in by_id(examples)]
    scope = content_id("judge", [who.name, who.version(rubric)])
    with ws.store.writer("judge"):
        report = who.check(rubric, examples, responses, progress=ws.progress)
        ws.store.add_findings(scope, report.findings)
    if report.failed and report.failed == len(report.findings):
        raise EndpointError(
            f"none of the {len(report.findings)} answers could be judged: "
            f"{report.findings[0].message}",
            where="residency.toml [judge]",
            next_step="look at the server, then run the same command: it asks again",
        )
    result = _figures(
        judged_model,
        report,
        responses,
        people=labels(ws, rubric),
        refused=unconstrained(who),
        reduce=ws.config.evaluate.reduce,
    )
    with ws.store.writer("judge"):
        ws.store.add_record(VERDICT, judged_model.id, {"rubric": rubric.name, **result.to_dict()})
    return result


def stored_answers(
    ws: Workspace, name: str, split: Split
) -> tuple[Model, list[Example], list[Response]]:
    """A model and its stored answers on a split; the sealed test is refused."""
    if split == "test":
        raise UserError("the test split is sealed", next_step="use --split dev")
    model = find_model(ws, name)
    examples = ws.split(split)
    responses = ws.store.responses(model.id, examples, ws.sampling)
    if not responses:
        raise StoreError(
            f"no answers of {label_model(model)} on {split} are stored",
            next_step=f"residency eval --model {model.id} --split {split}",
        )
    return model, examples, responses


def labels(ws: Workspace, rubric: Rubric) -> dict[str, bool | None]:
    """People's labels by response id; where people disagree the majority counts, a draw is None."""
    votes_by_response: dict[str, dict[str, bool]] = {}
    for row in ws.store.records(LABEL, rubric_key(rubric)):
        votes_by_response.setdefault(row["response"], {})[row["rater"]] = row["passed"]
    out: dict[str, bool | None] = {}
    for response, votes in votes_by_response.items():
        balance = sum(1 if passed else -1 for passed in votes.values())
        out[response] = None if balance == 0 else balance > 0
    return out


def add_label(ws: Workspace, rubric: Rubric, response: str, rater: str, passed: bool) -> None:
    """Append one person's label."""
    row = {"response": response, "rater": rater, "passed": passed}
    ws.store.add_record(LABEL, rubric_key(rubric), row)


def to_label(
    ws: Workspace, rubric: Rubric, rater: str, *, model: str, split: Split, count: int
) -> list[tuple[Example, Response]]:
    """Answers that this rater has not labelled, at random; the judge's verdict is not shown.

    A random part of the answers is what makes the agreement speak for the rest.
    """
    _, examples, responses = stored_answers(ws, model, split)
    done = {
        row["response"]
        for row in ws.store.records(LABEL, rubric_key(rubric))
        if row["rater"] == rater
    }
    known = by_id(examples)
    order = sorted(responses, key=lambda r: r.id)
    random.Random(ws.config.project.seed).shuffle(order)
    return [(known[r.example], r) for r in order[:count] if r.id not in done]


def rubric_key(rubric: Rubric) -> str:
    """Labels answer one criterion: another wording needs other labels."""
    return content_id("rubric", [rubric.name, rubric.criterion])


def _figures(
    model: Model,
    report: JudgeReport,
    responses: Sequence[Response],
    *,
    people: Mapping[str, bool | None],
    refused: str,
    reduce: Reduce,
) -> Judged:
    verdicts = list_verdicts(report.findings)
    scored = [
        not failed
        for items in kind_outcomes(report.findings, responses, reduce).values()
        for failed in items.values()
        if failed is not None
    ]
    low, high = clopper_pearson(sum(scored), len(scored))
    mine = {key: passed for key, passed in people.items() if key in verdicts}
    measured = measure_agreement(verdicts, mine) if mine else None
    corrected = None
    if measured is not None and all(response.sample == 0 for response in responses):
        rest = _unlabelled(report.findings, mine)
        corrected = corrected_rate(sum(rest), len(rest), measured)
    return Judged(
        model=model,
        label=label_model(model),
        report=report,
        passes=sum(scored),
        scored=len(scored),
        items=len({response.example for response in responses}),
        low=low,
        high=high,
        agreement=measured,
        corrected=corrected,
        unconstrained=refused,
    )


def _unlabelled(findings: Sequence[Finding], people: Mapping[str, bool | None]) -> list[bool]:
    """Verdicts on the answers that nobody labelled: independent of the agreement's."""
    return [
        f.status == "pass"
        for f in findings
        if f.status != "unscored" and people.get(f.response) is None
    ]
