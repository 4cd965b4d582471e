"""The two sides of a gate: a run's final model in the store, or one that was saved to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from residency.errors import DataError, StoreError
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.results.issue_results import IssueResult
from residency.results.measuring_items import find_measuring
from residency.results.run_results import RunResults
from residency.stats.sample_reducer import Outcomes

BASELINE_SCHEMA = "residency.gate-baseline/1"


@dataclass(frozen=True)
class GateIssue:
    """An issue as a gate asks for it.

    Attributes:
        key: its id. members: dev items of its slice; None: all. version: of its detector or rule.
        tolerance: the failure rate that is accepted. resolved: whether any verdict on dev said so.
    """

    key: str
    title: str
    kind: str
    detector: str
    version: str
    members: frozenset[str] | None
    tolerance: float = 0.0
    resolved: bool = False


@dataclass(frozen=True)
class GateSide:
    """What a model's dev answers showed, item by item.

    Attributes:
        label: how it is called. model: its id. run: the run that judged it.
        outcomes: kind and detector → item → fails (None: unscored).
        lost_scores: item → 1 minus the share of its checks that passed.
        groups: item → group. measuring: items that found no issue.
    """

    label: str
    model: str
    run: str
    issues: tuple[GateIssue, ...]
    outcomes: Mapping[tuple[str, str], Outcomes] = field(repr=False)
    lost_scores: Mapping[str, float | None] = field(repr=False)
    groups: Mapping[str, str] = field(repr=False)
    measuring: frozenset[str] = field(repr=False)

    def failures(self, issue: GateIssue) -> dict[str, float | None]:
        """Failures of the issue's kind on the measuring items of its slice."""
        outcomes = self.outcomes.get((issue.kind, issue.detector), {})
        items = self.measuring if issue.members is None else self.measuring & issue.members
        return {
            item: None if outcomes.get(item) is None else float(bool(outcomes[item]))
            for item in items
        }


def read_run_side(results: RunResults, model: str = "") -> GateSide:
    """A run's final model, or another one by id, on dev.

    Raises:
        StoreError: no model of the run answered dev.
    """
    chosen = model or results.final_id
    result = results.model_result(chosen)
    if result is None:
        raise StoreError(
            f"run {results.run} has no model {chosen or 'that was trained'}",
            next_step="residency status lists rounds and models",
        )
    answers = results.answers
    examples = answers.examples(list(answers.positions("dev")))
    measuring = find_measuring(results.store, results.settings, examples)
    kinds = sorted({(check.kind, check.detector) for check in answers.checks.values()})
    outcomes = {
        key: {item: bad for item, (bad, _) in answers.item_failures(chosen, "dev", *key).items()}
        for key in kinds
    }
    scores: dict[str, float | None] = {}
    for item, several in answers.outcomes(chosen, "dev").items():
        answer_scores = [result.scores.by_item.get(outcome.response) for outcome in several]
        known = [score for score in answer_scores if score is not None]
        scores[item] = 1 - sum(known) / len(known) if known else None
    return GateSide(
        label=f"{result.label} of run {results.run}",
        model=chosen,
        run=results.run,
        issues=tuple(_read_issue(issue, examples) for issue in results.issues),
        outcomes={key: items for key, items in outcomes.items() if items},
        lost_scores=scores,
        groups={e.id: e.group or e.id for e in examples},
        measuring=measuring,
    )


def _read_issue(result: IssueResult, examples: list[Example]) -> GateIssue:
    issue: Issue = result.issue
    members = None
    if issue.slice.by != "all":
        members = frozenset(e.id for e in examples if issue.slice.contains(e))
    resolved = any(verdict.status == "resolved" for verdict in result.verdicts)
    return GateIssue(
        issue.id, result.title, issue.kind, issue.detector, issue.version, members,
        issue.tolerance, resolved,
    )  # fmt: skip


def write_side(side: GateSide) -> dict[str, Any]:
    """A side as JSON, for another day's comparison. No text of any item is in it."""
    return {
        "schema": BASELINE_SCHEMA,
        "label": side.label,
        "model": side.model,
        "run": side.run,
        "issues": [
            {
                "id": issue.key,
                "title": issue.title,
                "kind": issue.kind,
                "detector": issue.detector,
                "version": issue.version,
                "members": None if issue.members is None else sorted(issue.members),
                "tolerance": issue.tolerance,
                "resolved": issue.resolved,
            }
            for issue in side.issues
        ],
        "outcomes": [
            {"kind": kind, "detector": detector, "items": dict(failures)}
            for (kind, detector), failures in side.outcomes.items()
        ],
        "lost_scores": dict(side.lost_scores),
        "groups": dict(side.groups),
        "measuring": sorted(side.measuring),
    }


def read_side(path: Path) -> GateSide:
    """A side that ``write_side`` wrote.

    Raises:
        DataError: no such file, or it is not one of ours, or cut off.
    """
    where = str(path)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=where) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not valid JSON: {error}", where=where, next_step="write it again with gate --save"
        ) from None
    if not isinstance(body, dict) or body.get("schema") != BASELINE_SCHEMA:
        raise DataError(
            f"no baseline of {BASELINE_SCHEMA}",
            where=where,
            next_step="write one with residency gate DIR --save FILE",
        )
    try:
        return _build_side(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"a baseline with missing or wrong parts: {type(error).__name__} {error}",
            where=where,
            next_step="write it again with residency gate DIR --save FILE",
        ) from None


def _build_side(body: Mapping[str, Any]) -> GateSide:
    issues = tuple(
        GateIssue(
            str(row["id"]),
            str(row["title"]),
            str(row["kind"]),
            str(row["detector"]),
            str(row["version"]),
            None if row["members"] is None else frozenset(map(str, row["members"])),
            float(row["tolerance"]),
            bool(row["resolved"]),
        )
        for row in body["issues"]
    )
    return GateSide(
        label=str(body["label"]),
        model=str(body["model"]),
        run=str(body["run"]),
        issues=issues,
        outcomes={
            (str(row["kind"]), str(row["detector"])): {
                str(item): _read_outcome(bad) for item, bad in row["items"].items()
            }
            for row in body["outcomes"]
        },
        lost_scores={str(k): _read_share(v) for k, v in body["lost_scores"].items()},
        groups={str(k): str(v) for k, v in body["groups"].items()},
        measuring=frozenset(map(str, body["measuring"])),
    )


def _read_outcome(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"an outcome is true, false or null, not {value!r}")


def _read_share(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ValueError(f"a share lies between 0 and 1: {value!r}")
    return float(value)
