"""Which items fail, and how two models' failures compare, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.diagnose.find_issues import outcomes
from residency.loop.respond import Assessed
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.stats.paired_outcomes import compare_paired

Known = tuple[Issue, Assessed]
"""An issue, and the answers in which it was found: its reference."""


def outcomes_of(issue: Issue, assessed: Assessed) -> dict[str, bool | None]:
    """Which items fail the issue's definition in these answers (None: unscored)."""
    return outcomes(issue, assessed.examples, assessed.responses, assessed.findings)


def kind_outcomes(kind: str, assessed: Assessed) -> dict[str, bool | None]:
    """For each item whether any of its answers fails this kind (None: nothing scored)."""
    example_of = {r.id: r.example for r in assessed.responses}
    out: dict[str, bool | None] = {e.id: None for e in assessed.examples}
    for finding in assessed.findings:
        if finding.kind == kind and finding.status != "unscored":
            key = example_of[finding.response]
            out[key] = bool(out[key]) or finding.status == "fail"
    return out


def groups_of(examples: Sequence[Example]) -> dict[str, str]:
    """Group of each example; a lone example is its own group."""
    return {e.id: e.group or e.id for e in examples}


def paired(
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


def overall_change(before: Assessed, after: Assessed) -> dict[str, Any]:
    """The rate of each kind of failure, before against after, paired and clustered by group."""
    groups = groups_of(after.examples)
    kinds = sorted({f.kind for f in [*before.findings, *after.findings]})
    rows = {k: paired(kind_outcomes(k, before), kind_outcomes(k, after), groups) for k in kinds}
    return {kind: row for kind, row in rows.items() if row["n"]}
