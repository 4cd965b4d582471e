"""Assess: grade answers and look for errors in them. Nothing is generated here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from residency.diagnose.run_detectors import choose_detectors, run_detectors
from residency.errors import StoreError
from residency.evaluate.judged_answer import READING, shift_spans, view_without_reasoning
from residency.evaluate.suites.grade import grade_responses, read_judged
from residency.evaluate.suites.scores import Scores, summarise_scores
from residency.loop.measure_kinds import describe_kinds, measure_kinds
from residency.loop.respond import respond
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Split
from residency.nouns.finding import Finding
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.named_models import label_model
from residency.project.step_needs import HasAnswers, HasMeasures
from residency.project.workspace import hash_rows
from residency.stats.sample_reducer import Outcomes, Reduce, item_outcomes, kind_outcomes
from residency.store.record_kind import RecordKind
from residency.text.label_values import find_label_values
from residency.text.words import split_words


@dataclass(frozen=True, repr=False)
class Assessment(ShortView):
    """A model's answers on some examples, with every finding on them."""

    model: Model
    examples: list[Example]
    responses: list[Response]
    findings: list[Finding]
    scores: Scores
    reduce: Reduce = "majority"

    @cached_property
    def item_outcomes(self) -> dict[tuple[str, str], Outcomes]:
        """For each kind and detector: whether each item that was looked at fails."""
        return item_outcomes(self.findings, self.responses, self.reduce)

    @cached_property
    def kind_outcomes(self) -> dict[str, Outcomes]:
        """For each kind, whoever reported it: whether each item that was looked at fails."""
        return kind_outcomes(self.findings, self.responses, self.reduce)


def assess_answers(
    ws: HasMeasures, model: Model, examples: Sequence[Example], responses: Sequence[Response]
) -> Assessment:
    """Grade and look for errors. Nothing is generated; stored findings are reused."""
    scope = content_id(
        "scope",
        {
            "suite": ws.suite.hash,
            "diagnose": ws.config.diagnose.model_dump(mode="json"),
            "detectors": {d.name: d.version for d in choose_detectors(ws.config.diagnose)},
            "budget": ws.config.generate.max_new_tokens,
            "embedder": ws.embedder.name,
            "reasoning": [ws.config.evaluate.reasoning, READING],
            "examples": hash_rows(examples),
            "known": hash_rows(ws.split("train")),
            **describe_kinds(ws, model.id),
        },
    )
    known_scopes = {record["scope"] for record in ws.store.records(RecordKind.SCOPE, ws.run_id)}
    if scope not in known_scopes:  # by which the report finds the evidence of this run
        with ws.store.writer("eval"):
            ws.store.add_record(RecordKind.SCOPE, ws.record_run(), {"scope": scope})
    findings = ws.store.findings(scope, responses)
    if {f.response for f in findings} != {r.id for r in responses}:
        findings = find_errors(ws, model.id, examples, responses)
        with ws.store.writer("eval"):
            ws.store.add_findings(scope, findings)
    reduce = ws.config.evaluate.reduce
    scores = summarise_scores(
        findings,
        examples,
        responses,
        reduce=reduce,
        primary=ws.primary_metric,
        classes=ws.classes,
        read=partial(read_judged, ws.suite, keep_reasoning=ws.config.evaluate.reasoning == "keep"),
    )
    return Assessment(model, list(examples), list(responses), findings, scores, reduce)


def find_errors(
    ws: HasMeasures, model: str, examples: Sequence[Example], responses: Sequence[Response]
) -> list[Finding]:
    """What suite, detectors and the project's kinds find in answers of a model; nothing is stored."""
    keep_reasoning = ws.config.evaluate.reasoning == "keep"
    findings = grade_responses(
        ws.suite, examples, responses, embedder=ws.embedder, keep_reasoning=keep_reasoning
    )
    train = ws.split("train")
    views = responses if keep_reasoning else list(map(view_without_reasoning, responses))
    detected = run_detectors(
        examples,
        views,
        known_words=find_known_words(train),
        embedder=ws.embedder,
        config=ws.config.diagnose,
        max_new_tokens=ws.config.generate.max_new_tokens,
        label_values=find_label_values(train),
    )
    findings += detected if keep_reasoning else shift_spans(detected, responses)
    return findings + measure_kinds(ws, model, examples, responses)


def find_known_words(train: Sequence[Example]) -> set[str]:
    """Words that are no misspelling here: all of the training answers, and of the prompts those
    that stand in three rows or more (a slip of one customer makes no word)."""
    answers = {
        w for e in train for m in e.messages if m.role == "assistant" for w in split_words(m.text)
    }
    prompts = [
        {w for m in e.messages if m.role != "assistant" for w in split_words(m.text)} for e in train
    ]
    often = Counter(w for row in prompts for w in row)
    return answers | {word for word, rows in often.items() if rows >= 3}


def answer_and_assess(
    ws: HasAnswers,
    model: Model,
    split: Split,
    *,
    stage: str,
    shots: Sequence[Example] = (),
    draft: Model | None = None,
) -> Assessment:
    """Answers of a model on a split, graded and diagnosed."""
    examples = ws.split(split)
    responses = respond(ws, model, examples, shots=shots, stage=stage, draft=draft)
    return assess_answers(ws, model, examples, responses)


def assess_stored_answers(ws: HasAnswers, model: Model, split: Split) -> Assessment:
    """What a model answered before, graded and diagnosed.

    Raises:
        StoreError: it has no answers there.
    """
    examples = ws.split(split)
    responses = ws.store.responses(model.id, examples, ws.sampling)
    if not responses:
        raise StoreError(
            f"no answers of {label_model(model)} on {split} are stored",
            next_step=f"residency eval --model {model.id} --split {split}",
        )
    return assess_answers(ws, model, examples, responses)
