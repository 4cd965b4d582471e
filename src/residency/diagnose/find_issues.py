"""Findings → issues: which kinds of failure recur, and in which slice of the task.

Only the finding half is looked at. The candidates are every kind in every slice (all items,
each tag, class, field value, word of the prompt or cluster); the common and the catastrophic come
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.candidates import (
    Candidate,
    Table,
    count_candidates,
    list_slices,
    tabulate_outcomes,
)
from residency.diagnose.feature_slices import name_confusion
from residency.diagnose.select_candidates import select_candidates
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue, Slice
from residency.nouns.response import Response
from residency.stats.sample_reducer import Reduce

MAX_EVIDENCE = 50


def find_issues(
    examples: Sequence[Example],
    findings: Iterable[Finding],
    responses: Iterable[Response],
    *,
    half: set[str],
    model: str,
    round: int,
    config: DiagnoseConfig,
    known: Sequence[Issue] = (),
    slices: Sequence[Slice] = (),
    how: Reduce = "majority",
) -> list[Issue]:
    """New issues in one model's responses: those of its ``config.max_issues`` worst not yet known.

    Args:
        half: ids of the finding half; other items are not looked at.
        model: id of the model whose responses are judged; it becomes ``reference_model``.
        known: issues that exist already; they are not returned again.
        slices: slices beside ``all`` and the tags.
        how: how several samples of an item become one outcome.
    """
    pool = [example for example in examples if example.id in half]
    position = {example.id: i for i, example in enumerate(pool)}
    answers = [r for r in responses if r.model == model and r.example in position]
    tables = tabulate_outcomes(findings, answers, model, position, how)
    issues = make_issues(
        pool, tables, model=model, round=round, config=config, known=known, slices=slices
    )
    return [_name_confusion(issue, pool, position, answers) for issue in issues]


def _name_confusion(
    issue: Issue,
    pool: Sequence[Example],
    position: Mapping[str, int],
    answers: Sequence[Response],
) -> Issue:
    """The issue, its title naming what a class or field value is mostly taken for."""
    if issue.slice.by != "field" or not issue.detector.startswith("suite:"):
        return issue
    first: dict[str, str] = {}
    for answer in answers:
        first.setdefault(answer.example, answer.text)
    failing = [pool[position[key]] for key in issue.examples if key in first]
    confusion = name_confusion(failing, [first[e.id] for e in failing], issue.slice)
    return replace(issue, title=f"{issue.title} (answered {confusion})") if confusion else issue


def make_issues(
    pool: Sequence[Example],
    tables: Mapping[tuple[str, str], Table],
    *,
    model: str,
    round: int,
    config: DiagnoseConfig,
    known: Sequence[Issue] = (),
    slices: Sequence[Slice] = (),
) -> list[Issue]:
    """``find_issues`` on answers already gathered into tables, by (kind, detector).

    ``pool`` are the examples of the finding half, in the order of the tables' positions.
    """
    members = list_slices(pool, slices)
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(e.group or e.id, len(numbers)) for e in pool], int)
    candidates: list[Candidate] = []
    for (kind, detector), table in sorted(tables.items()):
        candidates += count_candidates(kind, detector, table, members, groups)
    old = {issue.id for issue in known}
    issues: list[Issue] = []
    for candidate in select_candidates(candidates, config)[: config.max_issues]:
        severity = tables[candidate.kind, candidate.detector].severity
        failures = np.array(candidate.failures)
        worst = failures[np.argsort(-severity[failures], kind="stable")][:MAX_EVIDENCE]
        issue = Issue(
            kind=candidate.kind,
            slice=candidate.slice,
            detector=candidate.detector,
            version=candidate.version,
            tolerance=config.tolerance,
            found_round=round,
            reference_model=model,
            title=title_issue(candidate.kind, candidate.slice),
            examples=tuple(pool[i].id for i in worst.tolist()),
        )
        if issue.id not in old:
            issues.append(issue)
    return issues


def overall_issues(
    findings: Iterable[Finding],
    *,
    model: str,
    config: DiagnoseConfig,
    round: int = 0,
    known: Sequence[Issue] = (),
) -> list[Issue]:
    """Every kind over all items as an issue, for the sealed test: was the whole kind reduced?

    Nothing selects these: each kind that any detector reports is in, common or not, except
    those that are ``known`` already.
    """
    old = {issue.id for issue in known}
    versions = {(f.kind, f.detector): f.version for f in findings}
    issues = [
        Issue(kind, Slice(), detector, version, config.tolerance, round, model, title=kind)
        for (kind, detector), version in sorted(versions.items())
    ]
    return [issue for issue in issues if issue.id not in old]


def title_issue(kind: str, where: Slice) -> str:
    """How people read an issue."""
    if where.by == "all":
        return kind
    if where.by == "words":
        return f"{kind} where the prompt says {where.name}"
    in_words = where.by in ("tag", "field")
    return f"{kind} where {where.name}" if in_words else f"{kind} in “{where.name}”"
