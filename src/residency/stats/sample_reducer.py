"""Several sampled answers to one item → one outcome of the item: does it fail?

Only this file decides it. Scores, verdicts, the sealed table, baselines, the arena, judges
and pages all ask here, so that they count the same items. With one answer an item nothing is
reduced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

from residency.nouns.finding import Finding
from residency.nouns.response import Response

Key = TypeVar("Key")

Reduce = Literal["majority", "any", "all"]
"""An item fails when at least half of its scored answers fail, when any does, or when all do."""

Outcomes = dict[str, bool | None]
"""Example id → failed? None is *unscored*: nothing to judge by, never counted as a failure."""

Check = tuple[str, str, int]
"""Kind, detector, and which of the answer's findings of that kind and detector (0-based)."""


def reduce_outcomes(outcomes: Iterable[bool | None], how: Reduce = "majority") -> bool | None:
    """Whether an item fails, from its answers (True: failed; None: unscored, left out).

    None when no answer was scored. A draw under ``majority`` is a failure.
    """
    scored = [outcome for outcome in outcomes if outcome is not None]
    if not scored:
        return None
    if how == "any":
        return any(scored)
    if how == "all":
        return all(scored)
    return 2 * sum(scored) >= len(scored)


def item_outcomes(
    findings: Iterable[Finding], responses: Iterable[Response], how: Reduce = "majority"
) -> dict[tuple[str, str], Outcomes]:
    """For each kind and detector: whether each item that was looked at fails.

    An answer with several findings of one kind fails when any of them does.
    """
    return _reduce_findings(
        findings, responses, how, lambda finding: (finding.kind, finding.detector)
    )


def kind_outcomes(
    findings: Iterable[Finding], responses: Iterable[Response], how: Reduce = "majority"
) -> dict[str, Outcomes]:
    """For each kind, whoever reported it: whether each item that was looked at fails."""
    return _reduce_findings(findings, responses, how, lambda finding: finding.kind)


def check_outcomes(
    findings: Iterable[Finding], responses: Sequence[Response], how: Reduce = "majority"
) -> dict[str, dict[Check, bool | None]]:
    """For each item: whether it fails each single check. What a score is a share of."""
    numbered: dict[tuple[str, str, str], int] = defaultdict(int)
    votes: dict[str, dict[Check, list[bool | None]]] = {r.example: {} for r in responses}
    owner = {response.id: response.example for response in responses}
    for finding in findings:
        example = owner.get(finding.response)
        if example is None:
            continue
        key = finding.response, finding.kind, finding.detector
        check = finding.kind, finding.detector, numbered[key]
        numbered[key] += 1
        votes[example].setdefault(check, []).append(_read_failure(finding))
    return {
        example: {check: reduce_outcomes(vote, how) for check, vote in checks.items()}
        for example, checks in votes.items()
    }


def _read_failure(finding: Finding) -> bool | None:
    return None if finding.status == "unscored" else finding.status == "fail"


def _reduce_findings(
    findings: Iterable[Finding],
    responses: Iterable[Response],
    how: Reduce,
    key_of: Callable[[Finding], Key],
) -> dict[Key, Outcomes]:
    owner = {response.id: response.example for response in responses}
    answers: dict[Key, dict[str, bool | None]] = {}
    for finding in findings:
        if finding.response in owner:
            by_answer = answers.setdefault(key_of(finding), {})
            before, now = by_answer.get(finding.response), _read_failure(finding)
            by_answer[finding.response] = now if before is None else before or bool(now)
    out: dict[Key, Outcomes] = {}
    for key, by_answer in answers.items():
        votes: dict[str, list[bool | None]] = {}
        for response, failed in by_answer.items():
            votes.setdefault(owner[response], []).append(failed)
        out[key] = {example: reduce_outcomes(vote, how) for example, vote in votes.items()}
    return out
