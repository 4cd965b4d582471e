"""The tables at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from residency.cli.terminal import console, interval, percent
from residency.results.run_summary import IssueRow, RunSummary

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
        console.print(sealed_table(summary.test))
    if summary.forgetting:
        found, margin = summary.forgetting["differences"], summary.forgetting["margin"]
        console.print(differences_table("final", "base", found, margin))
    for line in conclusion(summary):
        console.print(line, markup=False, highlight=False)


def rounds_table(summary: RunSummary) -> Table:
    """A column for each round and arm: score, failure rate of each kind, rows, minutes (dev)."""
    table = figures_table(
        "Rounds, on dev", [(row.label, row.scores) for row in summary.rounds], limit=12
    )
    table.add_row(
        "trained rows", *(str(r.round.trained_rows or "–") for r in summary.rounds), style="dim"
    )
    table.add_row("minutes", *(f"{r.round.seconds / 60:.1f}" for r in summary.rounds), style="dim")
    return table


def figures_table(
    title: str,
    models: Sequence[tuple[str, dict[str, Any]]],
    limit: int,
    changes: dict[str, dict[str, Any]] | None = None,
) -> Table:
    """Score, coverage and failure rates, a column for each model.

    ``changes`` adds a column: the paired fall of each kind from the reference to the final model.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("", no_wrap=True)
    for label, _ in models:
        table.add_column(label.replace("base, ", ""), justify="right")
    if changes is not None:
        table.add_column("fall, 95 % ", justify="right", no_wrap=True)
        table.caption = "*: stands when everything that was tested is counted"
        table.caption_justify = "left"
    scores = [scores for _, scores in models]

    def add(name: str, cells: list[str], change: str = "", style: str = "") -> None:
        table.add_row(name, *cells, *([change] if changes is not None else []), style=style)

    whole = all(s["score"]["coverage"] > 0.995 for s in scores)
    add("score: checks passed", [percent(s["score"]["mean"]) for s in scores], style="bold")
    if not whole:
        add("  of the checks scored", [percent(s["score"]["coverage"]) for s in scores])
        add("  unscored as failed", [percent(s["score"]["floor"]) for s in scores])
    for kind in kinds_of(scores, limit):
        rates = [s["kinds"].get(kind) for s in scores]
        row = (changes or {}).get(kind)
        change = ""
        if row:
            stands = "*" if row.get("status") in ("resolved", "improved", "regressed") else " "
            fall = short_interval(row["low"], row["high"])
            change = f"{100 * row['delta']:+.0f} {fall}{stands}"
        add(f"fails {kind}", [percent(r["rate"]) if r else "–" for r in rates], change)
    return table


def kinds_of(scores: Sequence[dict[str, Any]], limit: int) -> list[str]:
    """The kinds worth a line: the general ones, then those that fail most."""
    worst: dict[str, float] = {}
    for row in scores:
        for kind, rate in row["kinds"].items():
            worst[kind] = max(worst.get(kind, 0.0), rate["rate"] or 0.0)
    main = [kind for kind in MAIN_KINDS if kind in worst]
    rest = sorted((k for k in worst if k not in MAIN_KINDS and worst[k]), key=lambda k: -worst[k])
    return (main + rest)[:limit]


def issues_table(summary: RunSummary) -> Table:
    """Two lines an issue: what it is, and its last verdict on dev and the sealed test's."""
    table = Table(
        title="Issues: measured on the part of dev that did not choose them",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("verdict", no_wrap=True)
    table.add_column("issue, failing items in % and their fall with its 95 % interval")
    table.add_column("id", no_wrap=True, style="dim")
    for row in summary.issues:
        status = Text(row.status, style=COLOURS.get(row.status, ""))
        table.add_row(status, issue_text(row), row.issue.id[3:9])
    return table


def issue_text(row: IssueRow) -> Text:
    """The issue, its figures on dev, and what the sealed test said."""
    found = row.issue.found_round
    text = Text(row.issue.title, style="bold")
    if found:
        text.append(f" (found in round {found})", style="dim")
    if row.verdicts:
        v = row.verdicts[-1]
        text.append(
            f"\ndev {100 * v.before_rate:.0f} → {100 * v.after_rate:.0f} % of {v.n}, "
            f"{100 * v.delta:+.0f} {short_interval(v.low, v.high)}",
            style="not bold",
        )
    test = row.confirmed
    if test is not None:
        text.append(
            f"; sealed {100 * test.before_rate:.0f} → {100 * test.after_rate:.0f} % of {test.n}, ",
            style="not bold",
        )
        text.append(test.status, style=COLOURS.get(test.status, "") or "not bold")
    return text


def short_interval(low: float, high: float) -> str:
    """An interval in whole percentage points."""
    return f"[{100 * low:+.0f}, {100 * high:+.0f}]"


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


def sealed_table(test: dict[str, Any]) -> Table:
    """Base against final on the sealed test."""
    final = test["final"]
    others = [side for key, side in test["sides"].items() if key != final]
    sides = [*sorted(others, key=lambda side: "few-shot" in side["label"]), test["sides"][final]]
    return figures_table(
        "Sealed test: scored once, never used before; the fall is from the best prompt",
        [(side["label"], side["scores"]) for side in sides],
        limit=14,
        changes=test["sides"][test["reference"]]["against_final"],
    )


def differences_table(
    name: str, than: str, found: Sequence[dict[str, Any]], margin: float
) -> Table:
    """What each benchmark says of two models: kept, improved, forgotten or inconclusive."""
    title = f"{name} against {than}, same items; kept: no loss beyond {100 * margin:g} points"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("task", "metric", "difference", "95 %", "fixed", "broken", "p", "verdict"):
        table.add_column(
            column,
            justify="left" if column in ("task", "metric", "verdict") else "right",
            no_wrap=column in ("95 %", "verdict"),  # the others give way in a narrow terminal
        )
    for d in found:
        table.add_row(
            d["task"],
            d["metric"],
            f"{100 * d['delta']:+.1f}",
            f"{100 * d['low']:+.1f}, {100 * d['high']:+.1f}",
            str(d["fixed"]),
            str(d["broken"]),
            f"{d['p_value']:.3f}",
            d["status"],
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
    elif summary.stopped:
        settings = summary.data.get("settings", {}).get("diagnose", {})
        lines.append(
            "No issue: no kind of failure reached "
            f"diagnose.min_rate ({percent(settings.get('min_rate'))}) and diagnose.min_items "
            f"({settings.get('min_items')}) in the part of dev that finds issues."
        )
    if summary.test:
        side = summary.test["sides"][summary.test["reference"]]
        final = summary.test["sides"][summary.test["final"]]
        change = summary.test["score_change"]
        by = (
            f", {100 * change['delta']:+.1f} points {interval(change['low'], change['high'])}"
            if change
            else ""
        )
        lines.append(
            f"Sealed test: {side['label']} passes {percent(side['scores']['score']['mean'])} of the "
            f"checks, {final['label']} {percent(final['scores']['score']['mean'])}{by}."
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
        few = "1 issue has" if len(unseen) == 1 else f"{len(unseen)} issues have"
        lines.append(f"{few} too few dev items for any fall to be shown; more dev rows help.")
    return lines
