"""``residency label``: people say whether answers really have an issue's failure.

The issue's rate is then corrected by what they said: a detector's rate counts its own errors too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from residency.errors import DataError, StoreError, UserError
from residency.files.json_records import read_json_lines_file
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.named_models import find_model
from residency.project.workspace import Workspace
from residency.results.issue_labels import correct_issue_rate, load_labels
from residency.results.measuring_items import find_measuring
from residency.results.run_results import RunResults
from residency.stats.labelled_rate import FEWEST_LABELS, LabelledRate
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count
from residency.text.percent import write_percent


@dataclass(frozen=True, repr=False)
class Labelling(ShortView):
    """How the labelling of one issue stands.

    Attributes:
        issue, title, model: of which answers.
        left: answers that ``person`` may label next, as many flagged ones as others, in a blind order.
        given: labels of this kind on the model's answers, whoever gave them.
        corrected: the rate by them; None where they are too few.
    """

    issue: Issue
    title: str
    model: str
    left: tuple[str, ...]
    label_count: int
    corrected: LabelledRate | None

    @property
    def sentence(self) -> str:
        """What the labels say, or how many more are needed."""
        if self.corrected is not None:
            rate = self.corrected
            return f"{self.title}: {write_percent(rate.seen, 0)} of {rate.n} by the detector; {rate.sentence}."
        labels = write_count(self.label_count, "label")
        return (
            f"{self.title}: {labels}. At least {FEWEST_LABELS} of answers that the detector "
            f"flags and {FEWEST_LABELS} of others correct its rate."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        rate = self.corrected
        return {
            "issue": self.issue.id,
            "title": self.title,
            "model": self.model,
            "left": list(self.left),
            "labels": self.label_count,
            "corrected": vars(rate) if rate else None,
            "sentence": self.sentence,
        }


def open_labelling(
    ws: Workspace, issue: str, *, model: str = "final", person: str = "", count: int = 40
) -> Labelling:
    """What labels of an issue say, and which answers are next.

    Raises:
        StoreError: no issue begins so, or the model has no judged answers on dev.
    """
    results = RunResults(ws.store)
    result, chosen = results.issue(issue), find_model(ws, model)
    answers = results.answers
    labelled_issue = result.issue
    examples = answers.examples(list(answers.positions("dev")))
    inside = {e.id for e in examples if labelled_issue.slice.contains(e)}
    failures = answers.item_failures(chosen.id, "dev", labelled_issue.kind, labelled_issue.detector)
    if not failures:
        raise StoreError(
            f"no judged answers of {model} on dev are stored",
            next_step=f"residency eval --model {model}",
        )
    done = {
        row["response"]
        for row in ws.store.records(RecordKind.KIND_LABEL, labelled_issue.kind)
        if row["person"] == person
    }
    sides: dict[bool, list[str]] = {True: [], False: []}
    for item in sorted(failures):
        bad, outcome = failures[item]
        if item in inside and bad is not None and outcome.response not in done:
            sides[bad].append(outcome.response)
    labels = load_labels(ws.store, labelled_issue.kind, chosen.id)
    return Labelling(
        issue=labelled_issue,
        title=result.title,
        model=chosen.id,
        left=tuple(_draw_in_turn(sides, ws.config.project.seed)[:count]),
        label_count=sum(label is not None for label in labels.values()),
        corrected=correct_issue_rate(
            answers,
            labelled_issue,
            labels,
            model=chosen.id,
            measuring=find_measuring(ws.store, results.settings, examples),
            examples=examples,
        ),
    )


def _draw_in_turn(sides: Mapping[bool, Sequence[str]], seed: int) -> list[str]:
    """A flagged and another answer a pair, each side in a blind order, and so within a pair."""
    orders = []
    for flag in (True, False):
        order = list(sides[flag])
        random.Random(f"{seed} {flag}").shuffle(order)
        orders.append(order)
    toss = random.Random(f"{seed} pairs")
    pairs = [pair if toss.random() < 0.5 else pair[::-1] for pair in zip_longest(*orders)]
    return [one for pair in pairs for one in pair if one is not None]


def make_label(store: Store, response: str, fails: bool, person: str) -> dict[str, Any]:
    """The record of a label.

    Raises:
        StoreError: there is no such answer. UserError: nobody said who labels.
    """
    answer = store.responses_by_id([response]).get(response)
    if answer is None:
        raise StoreError(f"there is no answer {response}", next_step="residency label DIR ISSUE")
    if not person.strip():
        raise UserError("nobody said who labels", next_step="--person NAME")
    return {"response": response, "model": answer.model, "fails": fails, "person": person}


def add_label(ws: Workspace, response: str, kind: str, fails: bool, person: str) -> None:
    """Append one person's label; a later one of the same person replaces it. Raises as ``make_label``."""
    body = make_label(ws.store, response, fails, person)
    ws.store.add_record(RecordKind.KIND_LABEL, kind, body)


def read_answer(ws: Workspace, response: str) -> tuple[Example, Response]:
    """The texts of an answer."""
    answer = ws.store.responses_by_id([response])[response]
    return ws.store.example(answer.example), answer


def import_labels(ws: Workspace, path: Path, labelling: Labelling, person: str) -> int:
    """Labels from a file, all or none; how many.

    Each line is a JSON object: ``response`` (an answer's id) or ``example`` (whose answer of this model
    is meant), ``fails`` (true or false), and maybe ``person``.

    Raises:
        DataError: a line is wrong; it is named.
    """
    by_example = {r.example: r.id for r in ws.store.responses(labelling.model, None, ws.sampling)}
    bodies = []
    for record in read_json_lines_file(path):
        row, where = record.values or {}, f"{path}:{record.line}"
        if record.error or not isinstance(row.get("fails"), bool):
            raise DataError(record.error or "a label needs “fails”, true or false", where=where)
        response = row.get("response") or by_example.get(str(row.get("example")))
        if not isinstance(response, str):
            raise DataError(
                "a label names an answer by “response”, or by “example” one that this model answered",
                where=where,
                next_step="residency label DIR ISSUE --json lists answers",
            )
        who = str(row.get("person") or person)
        try:
            bodies.append(make_label(ws.store, response, row["fails"], who))
        except (StoreError, UserError) as error:
            raise DataError(error.what, where=where, next_step=error.next_step) from None
    for body in bodies:
        ws.store.add_record(RecordKind.KIND_LABEL, labelling.issue.kind, body)
    return len(bodies)
