"""What a suite passes and fails: the reference, its negation, another row's answer, nothing, and one
sentence for all.

A score is worth what it can tell apart. Each probe answers every item; none of them is a model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.primary_metric import PrimaryMetric
from residency.evaluate.suites.sensitivity_table import ProbeFigures, ProbeName, Sensitivity
from residency.evaluate.suites.suite import Suite
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.answer_fields import find_fields
from residency.text.json_answers import UnjudgeableJsonError, read_json, strip_fence
from residency.text.negation import negate_text
from residency.text.normal_form import normalise_answer

MOST_ITEMS = 100


def make_probes(
    examples: Sequence[Example], embedder: Embedder | None = None, *, seed: int = 0
) -> dict[ProbeName, dict[str, str]]:
    """Answers by probe and example id; an item that a probe cannot answer is left out of it.

    The canned answer is the commonest reference where references recur, otherwise the one that is
    most like all others.
    """
    known = [e for e in examples if (e.reference or "").strip()]
    known = sorted(known, key=lambda e: e.id)
    random.Random(seed).shuffle(known)
    known = known[:MOST_ITEMS]
    references = {e.id: e.reference or "" for e in known}
    out: dict[ProbeName, dict[str, str]] = {
        "reference": references,
        "negated": {},
        "another": {},
        "empty": dict.fromkeys(references, ""),
        "canned": dict.fromkeys(references, _find_canned(list(references.values()), embedder)),
    }
    ids = list(references)
    for position, key in enumerate(ids):
        turned = negate_reference(references[key])
        if turned is not None:
            out["negated"][key] = turned
        mine = normalise_answer(references[key])
        for step in range(1, len(ids)):
            other = references[ids[(position + step) % len(ids)]]
            if normalise_answer(other) != mine:
                out["another"][key] = other
                break
    return out


def measure_probes(
    suite: Suite,
    metric: PrimaryMetric,
    examples: Sequence[Example],
    probes: Mapping[ProbeName, Mapping[str, str]],
    *,
    embedder: Embedder | None = None,
    more: Mapping[ProbeName, Sequence[Finding]] | None = None,
) -> Sensitivity:
    """The primary metric and every rule on each probe's answers.

    Args:
        more: findings of detectors on the same answers (``probe_responses``), where they count.
    """
    known = {example.id: example for example in examples}
    rows = []
    for name, answers in probes.items():
        responses = probe_responses(name, answers)
        probe_examples = [known[key] for key in answers]
        findings = (
            grade_responses(suite, probe_examples, responses, embedder=embedder)
            if responses
            else []
        )
        by_response: dict[str, list[Finding]] = {}
        for finding in [*findings, *(more or {}).get(name, ())]:
            by_response.setdefault(finding.response, []).append(finding)
        values = [metric.score_answer(r, by_response.get(r.id, [])) for r in responses]
        scored = [value for value in values if value is not None]
        sample = max(answers.values(), key=len, default="")[:300]
        rows.append(
            ProbeFigures(
                name,
                sum(scored) / len(scored) if scored else None,
                len(responses),
                len(scored),
                _pass_rates(findings),
                sample,
            )
        )
    items = len(probes["reference"])
    return Sensitivity(suite.name, metric.title, items, tuple(rows))


def probe_responses(name: ProbeName, answers: Mapping[str, str]) -> list[Response]:
    """A probe's answers as responses of a model that is none."""
    return [Response(f"probe:{name}", key, text=text) for key, text in answers.items()]


def negate_reference(text: str) -> str | None:
    """A reference that says the opposite: of fields each value is denied, of a text each statement."""
    try:
        body = read_json(strip_fence(text)[0])
    except (ValueError, UnjudgeableJsonError, RecursionError):
        body = None
    if isinstance(body, dict) and body:
        import json

        return json.dumps({key: _deny(value) for key, value in body.items()}, ensure_ascii=False)
    fields = find_fields(text)
    if not fields:
        return negate_text(text)
    out, done = [], 0
    for value in sorted(fields.values(), key=lambda item: item.start):
        out += [text[done : value.start], negate_text(value.value) or value.value]
        done = value.end
    turned = "".join([*out, text[done:]])
    return turned if turned != text else None


def _deny(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return negate_text(value) or value
    if isinstance(value, int | float):
        return -value if value else 1
    if isinstance(value, dict):
        return {key: _deny(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_deny(inner) for inner in value]
    return "not known" if value is None else value


def _find_canned(references: Sequence[str], embedder: Embedder | None) -> str:
    if not references:
        return ""
    counts: dict[str, int] = {}
    for text in references:
        counts[text] = counts.get(text, 0) + 1
    common = max(counts, key=lambda text: (counts[text], text))
    if counts[common] > 1 or embedder is None:
        return common
    vectors = np.asarray(embedder.embed(list(references)))
    return references[int((vectors @ vectors.mean(axis=0)).argmax())]


def _pass_rates(findings: Sequence[Finding]) -> dict[str, float]:
    passed: dict[str, list[bool]] = {}
    for finding in findings:
        if finding.status != "unscored":
            passed.setdefault(finding.detector, []).append(finding.status == "pass")
    return {name: sum(marks) / len(marks) for name, marks in passed.items()}
