"""Made rows are verified by what answers are measured by: the suite, the project's kinds, a judge.

The answer of a row takes the place of a model's, with the row as its example. Rules that compare with
a reference are passed by construction; what remains is form, length, words, values, and the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from residency.evaluate.judge.judge import Judge
from residency.evaluate.judge.prompts import Rubric
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.reference_form import find_form
from residency.loop.assess import find_errors
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.project.named_kinds import read_kinds
from residency.project.step_needs import HasMeasures, HasSettings
from residency.results.kinds import kind_words

REFUSE_NOTHING = frozenset({"misspelling", "overlong", "hallucination", "inconsistency"})
"""Detectors that refuse no made row: *misspelling* is too often wrong (lower bound of its precision 0.42,
docs/detectors.md), the others compare with a reference or other answers, and the row is its own."""
_REASONS = 3
"""Reasons of one row that are told."""


@dataclass(frozen=True)
class VerifiedRows:
    """Rows that nothing speaks against, the others with why, and what could not be judged.

    ``unscored``: accepted row (id) → detectors that could say nothing of it.
    """

    accepted: list[Example]
    refused: list[tuple[Example, str]] = field(default_factory=list)
    unscored: dict[str, set[str]] = field(default_factory=dict)


def verify_by_suite(
    ws: HasMeasures, rows: Sequence[Example], *, seeds: Mapping[str, Example] | None = None
) -> VerifiedRows:
    """Rows whose answers fail no rule of the suite, no kind of the project, and do not repeat themselves.

    Nothing is stored. Where ``[judge]`` measures a kind of the project it is asked, and a row of which
    it says nothing usable is refused as unscored.

    Args:
        seeds: row id → the row that it was written like, whose answer's form it must have.

    Raises:
        SuiteError: a rule raised an exception on every row.
    """
    rows = list({row.id: row for row in rows}.values())
    responses = [_answer_as_response(row) for row in rows]
    findings: dict[str, list[Finding]] = {response.id: [] for response in responses}
    for finding in find_errors(ws, "", rows, responses) if rows else []:
        if finding.detector not in REFUSE_NOTHING:
            findings[finding.response].append(finding)
    asked = _list_asked_kinds(ws)
    verified = VerifiedRows([])
    for row, response in zip(rows, responses, strict=True):
        reasons = [
            _write_reason(finding)
            for finding in findings[response.id]
            if finding.status == "fail"
            or (finding.status == "unscored" and finding.detector in asked)
        ]
        if other := _compare_forms(row, (seeds or {}).get(row.id)):
            reasons.append(other)
        if reasons:
            verified.refused.append((row, "; ".join(reasons[:_REASONS])))
            continue
        verified.accepted.append(row)
        silent = {f.detector for f in findings[response.id] if f.status == "unscored"}
        verified.unscored[row.id] = silent
    return verified


def check_suite_runs(ws: HasMeasures, rows: Sequence[Example]) -> None:
    """Grade rows by the suite's rules alone, to learn whether it can grade at all; nobody is asked.

    Raises:
        SuiteError: a rule raised an exception on every row.
    """
    grade_responses(ws.suite, rows, list(map(_answer_as_response, rows)), embedder=ws.embedder)


def verify_by_judge(
    ws: HasSettings, judge: Judge, rubric: Rubric, rows: Sequence[Example]
) -> VerifiedRows:
    """Rows whose answers the judge passes; what it cannot say of a row leaves the row out, unscored."""
    responses = {_answer_as_response(row).id: row for row in rows}
    answers = [_answer_as_response(row) for row in responses.values()]
    report = judge.check(rubric, rows, answers, progress=ws.progress)
    verified = VerifiedRows([])
    for finding in report.findings:
        row = responses[finding.response]
        if finding.status == "pass":
            verified.accepted.append(row)
        else:
            verified.refused.append((row, _write_reason(finding)))
    return verified


def _answer_as_response(row: Example) -> Response:
    return Response(model="", example=row.id, text=row.reference or "")


def _list_asked_kinds(ws: HasSettings) -> set[str]:
    """Detectors of the kinds that ``[judge]`` was asked about."""
    if not ws.config.judge.url:
        return set()
    kinds = read_kinds(ws.root)
    return {f"judge:{kind.name}" for kind in kinds if kind.by == "judge" and kind.usable}


def _write_reason(finding: Finding) -> str:
    kind = kind_words(finding.kind)
    words = f"{kind}: {finding.message}" if finding.message else kind
    return words if finding.status == "fail" else f"unscored by {words}"


def _compare_forms(row: Example, seed: Example | None) -> str:
    """What is wrong when the seed's answer has a form (JSON, fields, a query, …) and the row's has not."""
    if seed is None or seed.reference is None:
        return ""
    wanted = find_form(seed.reference)
    if wanted == "text" or find_form(row.reference or "") == wanted:
        return ""
    return f"format: the answer has not the form ({wanted}) of the row that it was written like"
