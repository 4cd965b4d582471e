"""The tables at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from residency.cli.display import console, interval, percent
from residency.rounds.summary import IssueRow, RunSummary

COLOURS = {
    "resolved": "green",
    "improved": "cyan",
    "persisting": "yellow",
    "inconclusive": "white",
    "regressed": "red",
    "new": "magenta",
    "newly detected": "magenta",
}
MAIN_KINDS = ("misspelling", "overlong", "repetition", "inconsistency", "hallucination", "format")


def show_summary(summary: RunSummary) -> None:
    """Rounds, issues, arms, the sealed test, and what it all says."""
    if summary.rounds:
        console.print(rounds_table(summary))
    if summary.issues:
        console.print(issues_table(summary))
    for line in arm_lines(summary):
        console.print(line, markup=False, highlight=False)
    if summary.test:
        console.print(test_table(summary.test))
    for line in conclusion(summary):
        console.print(line, markup=False, highlight=False)


def rounds_table(summary: RunSummary) -> Table:
    """One line a round and arm: score, failure rate of each kind, rows, minutes (dev)."""
    kinds = kinds_of([row.scores for row in summary.rounds])
    table = Table(title="Rounds, on dev", title_justify="left", header_style="bold")
    for name in ("model", "score"):
        table.add_column(name, no_wrap=name == "model")
    for kind in kinds:
        table.add_column(kind.replace("inconsistency", "inconsistent"), justify="right")
    for name in ("rows", "min"):
        table.add_column(name, justify="right")
    for row in summary.rounds:
        rates = row.scores["kinds"]
        table.add_row(
            row.label,
            score_cell(row.scores),
            *(percent(rates[k]["rate"]) if k in rates else "–" for k in kinds),
            str(row.round.trained_rows),
            f"{row.round.seconds / 60:.1f}",
        )
    return table


def kinds_of(scores: Sequence[dict[str, Any]]) -> list[str]:
    """The kinds worth a column: the general ones, then those that fail most, nine at most."""
    worst: dict[str, float] = {}
    for row in scores:
        for kind, rate in row["kinds"].items():
            worst[kind] = max(worst.get(kind, 0.0), rate["rate"] or 0.0)
    main = [kind for kind in MAIN_KINDS if worst.get(kind)]
    rest = sorted((k for k in worst if k not in MAIN_KINDS and worst[k]), key=lambda k: -worst[k])
    return (main + rest)[:9]


def score_cell(scores: dict[str, Any]) -> str:
    """The score with every unscored check as failed; the share that could be scored."""
    score = scores["score"]
    text = percent(score["floor"])
    return text if score["coverage"] > 0.995 else f"{text} ({score['coverage']:.0%} scored)"


def issues_table(summary: RunSummary) -> Table:
    """One line an issue: its last verdict on dev, and the sealed test's."""
    table = Table(
        title="Issues: measured on the half of dev that did not choose them",
        title_justify="left",
        header_style="bold",
    )
    for name, right in (
        ("issue", False),
        ("id", False),
        ("found", True),
        ("verdict", False),
        ("before → now", True),
        ("fall, 95 %", True),
        ("p", True),
        ("n", True),
        ("sealed test", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=name == "id")
    for row in summary.issues:
        table.add_row(*issue_cells(row))
    return table


def issue_cells(row: IssueRow) -> list[Text | str]:
    """Cells of one issue."""
    cells: list[Text | str] = [row.issue.title, row.issue.id[:9], f"round {row.issue.found_round}"]
    cells.append(Text(row.status, style=COLOURS.get(row.status, "")))
    if row.verdicts:
        v = row.verdicts[-1]
        p = f"{v.p_value:.1g}" if v.status not in ("new", "newly detected") else "–"
        cells += [
            f"{100 * v.before_rate:.0f} → {100 * v.after_rate:.0f} %",
            f"{100 * v.delta:+.0f} {interval(v.low, v.high, sign=True)}",
            p,
            str(v.n),
        ]
    else:
        cells += ["–"] * 4
    test = row.confirmed
    if test is None:
        cells.append("–")
    else:
        change = f"{100 * test.before_rate:.0f} → {100 * test.after_rate:.0f} %"
        cells.append(Text(f"{test.status} ({change})", style=COLOURS.get(test.status, "")))
    return cells


def arm_lines(summary: RunSummary) -> list[str]:
    """What targeted rows did beyond the same number of random rows."""
    lines = []
    for number, rows in summary.arms.items():
        titles = {row.issue.id: row.issue.title for row in summary.issues}
        better = [row for row in rows if row["n"] and row["low"] > 0]
        worse = [row for row in rows if row["n"] and row["high"] < 0]
        lines.append(
            f"Round {number}, targeted against as many random rows: fewer failures in "
            f"{len(better)} of {len(rows)} issues, more in {len(worse)} "
            f"(95 % interval away from 0)."
        )
        for row in better + worse:
            lines.append(
                f"  {titles[row['issue']]}: random {row['before_rate']:.0%}, "
                f"targeted {row['after_rate']:.0%} (n {row['n']})"
            )
    return lines


def test_table(test: dict[str, Any]) -> Table:
    """Base against final on the sealed test."""
    final = test["final"]
    sides = [side for key, side in test["sides"].items() if key != final] + [test["sides"][final]]
    kinds = kinds_of([side["scores"] for side in sides])
    table = Table(
        title="Sealed test: scored once, never used before",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("model", no_wrap=True)
    table.add_column("score")
    for kind in kinds:
        table.add_column(kind.replace("inconsistency", "inconsistent"), justify="right")
    for side in sides:
        rates = side["scores"]["kinds"]
        table.add_row(
            side["label"],
            score_cell(side["scores"]),
            *(percent(rates[k]["rate"]) if k in rates else "–" for k in kinds),
        )
    return table


def conclusion(summary: RunSummary) -> list[str]:
    """A few sentences: is it better, and how do we know."""
    lines = []
    counts: dict[str, int] = {}
    for row in summary.issues:
        counts[row.status] = counts.get(row.status, 0) + 1
    if counts:
        parts = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        lines.append(f"{len(summary.issues)} issues: {parts}. Stopped because {summary.stopped}.")
    if summary.test:
        side = summary.test["sides"][summary.test["reference"]]
        final = summary.test["sides"][summary.test["final"]]
        lines.append(
            f"Sealed test: {percent(side['scores']['score']['floor'])} of checks right with the "
            f"best prompt, {percent(final['scores']['score']['floor'])} after fine-tuning."
        )
        if summary.test_openings > 1:
            lines.append(
                f"The sealed test was opened {summary.test_openings} times in this project: "
                "its figures are worth less each time."
            )
    unseen = [
        row for row in summary.issues if row.expected and math.isinf(row.expected["mde"] or 0)
    ]
    if unseen:
        lines.append(
            f"{len(unseen)} issues have too few dev items for any fall to be shown; more dev rows help."
        )
    return lines
