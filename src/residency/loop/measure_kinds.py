"""Kinds that people named, measured on a model's answers by a judge or by what was read.

Kinds by a rule are part of the suite (``Workspace.suite``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from residency.diagnose.notes import Note, findings_of_notes, replay_notes
from residency.evaluate.judge.prompts import Rubric
from residency.loop.judge_model import open_judge
from residency.nouns.content_id import content_id
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.project.named_kinds import NamedKind, read_kinds
from residency.project.step_needs import HasSettings
from residency.store.record_kind import RecordKind
from residency.store.store import Store

MODES_KEY = "modes"
"""Key of the records of what was done to modes: they are the project's, not one model's."""


def load_notes(store: Store, model: str = "") -> list[Note]:
    """Notes of the project, or on one model's answers, with the modes they are in now."""
    rows = store.records(RecordKind.NOTE, model or None)
    return replay_notes(rows, store.records(RecordKind.MODE, MODES_KEY))


def describe_kinds(ws: HasSettings, model: str) -> dict[str, Any]:
    """What the findings of named kinds follow from; empty where there are none."""
    kinds = [kind for kind in read_kinds(ws.root) if kind.by != "rule" or not kind.usable]
    if not kinds:
        return {}
    body: dict[str, Any] = {"kinds": [[k.name, k.by, k.criterion, k.usable] for k in kinds]}
    if any(kind.by == "reading" for kind in kinds):
        notes = [
            [note.response, note.reader, note.text, note.mode]
            for note in load_notes(ws.store, model)
        ]
        body["notes"] = content_id("notes", notes)
    if any(kind.by == "judge" for kind in kinds):
        body["judge"] = [str(ws.config.judge.url), ws.config.judge.model]
    return body


def measure_kinds(
    ws: HasSettings, model: str, examples: Sequence[Example], responses: Sequence[Response]
) -> list[Finding]:
    """Findings of the kinds by judge and by reading; *unscored* where nothing measures them."""
    kinds = read_kinds(ws.root)
    findings: list[Finding] = []
    for kind in kinds:
        if kind.by == "judge" and kind.usable and ws.config.judge.url:
            findings += _ask_judge(ws, kind, examples, responses)
        elif kind.by == "judge" or (kind.by == "rule" and not kind.usable):
            why = (
                "no [judge] is named in residency.toml"
                if kind.usable
                else "what measures it agrees too little with the notes"
            )
            findings += [_leave_unscored(kind, response, why) for response in responses]
    read = [kind for kind in kinds if kind.by == "reading"]
    if not read:
        return findings
    notes = load_notes(ws.store, model)
    shown = {response.id for response in responses}
    severities = {kind.name: kind.severity for kind in read}
    by_people = [f for f in findings_of_notes(notes, severities) if f.response in shown]
    done = {(finding.response, finding.kind) for finding in by_people}
    findings += by_people
    findings += [
        _leave_unscored(kind, response, "nobody has read this answer", detector="reading")
        for kind in read
        for response in responses
        if (response.id, kind.name) not in done
    ]
    return findings


def _ask_judge(
    ws: HasSettings, kind: NamedKind, examples: Sequence[Example], responses: Sequence[Response]
) -> list[Finding]:
    report = open_judge(ws).check(
        Rubric(kind.name, kind.criterion), examples, responses, progress=ws.progress
    )
    return [
        replace(f, kind=kind.name, severity=kind.severity if f.status == "fail" else 0.0)
        for f in report.findings
    ]


def _leave_unscored(
    kind: NamedKind, response: Response, why: str, *, detector: str = ""
) -> Finding:
    return Finding(
        response=response.id,
        kind=kind.name,
        status="unscored",
        detector=detector or f"{kind.by}:{kind.name}",
        version="1",
        message=why,
    )
