"""Which items fail, and how two models' failures compare, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.loop.assess import Assessment
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.stats.paired_outcomes import compare_paired
from residency.stats.sample_reducer import Outcomes

KnownIssue = tuple[Issue, Assessment]
"""An issue, and the answers in which it was found: its reference."""


def find_issue_outcomes(issue: Issue, assessed: Assessment) -> Outcomes:
    """Which items of its slice fail the issue's definition in these answers (None: unscored)."""
    failed = assessed.item_outcomes.get((issue.kind, issue.detector), {})
    return {e.id: failed.get(e.id) for e in assessed.examples if issue.slice.contains(e)}


def find_kind_outcomes(kind: str, assessed: Assessment) -> Outcomes:
    """Which items fail this kind, whoever reported it (None: unscored)."""
    failed = assessed.kind_outcomes.get(kind, {})
    return {e.id: failed.get(e.id) for e in assessed.examples}


def map_groups(examples: Sequence[Example]) -> dict[str, str]:
    """Group of each example; a lone example is a group."""
    return {e.id: e.group or e.id for e in examples}


def compare_outcomes(
    before: Mapping[str, bool | None], after: Mapping[str, bool | None], groups: Mapping[str, str]
) -> dict[str, Any]:
    """One paired comparison as figures."""
    compared = compare_paired(before, after, groups=groups)
    counts = compared.counts
    return {
        "n": counts.n,
        "unscored": counts.unscored,
        "before_rate": counts.before_rate,
        "after_rate": counts.after_rate,
        "fixed": counts.fixed,
        "broken": counts.broken,
        "delta": counts.delta,
        "low": compared.low,
        "high": compared.high,
        "p_value": compared.p_value,
        "e_value": counts.e_value,
    }


def compare_kinds(before: Assessment, after: Assessment) -> dict[str, Any]:
    """The rate of each kind of failure, before against after, paired and clustered by group."""
    groups = map_groups(after.examples)
    kinds = sorted({f.kind for f in [*before.findings, *after.findings]})
    rows = {
        k: compare_outcomes(find_kind_outcomes(k, before), find_kind_outcomes(k, after), groups)
        for k in kinds
    }
    return {kind: row for kind, row in rows.items() if row["n"]}
