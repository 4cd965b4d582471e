"""A run in a notebook: a few lines as text, a small table as HTML."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from residency.nouns.short_view import draw_charts
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.results.run_summary import RunSummary

MOST_ISSUES = 12
"""Issues in the table; the report has all."""


def describe_summary(summary: RunSummary) -> str:
    """One line: the run, how far it is, and what became of the issues."""
    counts = Counter(row.status for row in summary.issues)
    issues = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
    state = "complete" if summary.complete else "not complete"
    return f"<RunSummary {summary.run}: {state}; {write_count(len(summary.rounds), 'row')} of rounds; issues: {issues}>"


def draw_summary(summary: RunSummary) -> str:
    """Conclusion, rounds and issues as HTML; every text in it is escaped."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary.conclusion)
    rounds = _draw_table(
        ("model", "score", "checks scored"),
        [
            (
                row.label,
                write_percent(row.scores.score.mean),
                write_percent(row.scores.score.coverage),
            )
            for row in summary.rounds
        ],
    )
    issues = _draw_table(
        ("status", "issue", "before", "after", "items"),
        [
            (
                row.status,
                row.title or row.issue.title,
                *(
                    (write_percent(v.before_rate), write_percent(v.after_rate), str(v.n))
                    if (v := row.verdicts[-1] if row.verdicts else None)
                    else ("", "", "")
                ),
            )
            for row in summary.issues[:MOST_ISSUES]
        ],
    )
    more = len(summary.issues) - MOST_ISSUES
    rest = f"<p>… and {more} more: <code>residency report</code></p>" if more > 0 else ""
    return f"<div><b>Run {escape(summary.run)}</b>{lines}{draw_charts(summary)}{rounds}{issues}{rest}</div>"


def _draw_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
