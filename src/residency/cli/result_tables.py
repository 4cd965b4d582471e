"""The tables at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from residency.cli.terminal import console
from residency.results.benchmark_change import (
    name_change_unit,
    write_change,
    write_change_interval,
    write_margin,
)
from residency.results.change_figures import KindChange
from residency.results.kinds import COMMON_KINDS, KIND_LIMITS, kind_words
from residency.results.leading_figures import choose_leading_figures
from residency.results.number_formats import format_trained_rows
from residency.results.run_summary import IssueRow, RunSummary
from residency.results.score_figures import ScoresFigures
from residency.results.sealed_figures import SealedTest
from residency.results.statuses import SIGNIFICANT, status_colour
from residency.text.percent import write_percent

FIRST_KINDS = (*COMMON_KINDS, "format")
_FULL_COVERAGE = 0.995


def show_summary(summary: RunSummary) -> None:
    """Rounds, issues, arms, the sealed test, and what it all says."""
    if summary.rounds:
        console.print(build_rounds_table(summary))
    if summary.issues:
        console.print(build_issues_table(summary))
    if summary.test:
        console.print(build_sealed_table(summary.test))
    if summary.forgetting:
        differences, margin = summary.forgetting.differences, summary.forgetting.margin
        console.print(build_differences_table("final", "base", differences, margin))
    for line in summary.conclusion:
        console.print(line)


def build_rounds_table(summary: RunSummary) -> Table:
    """A column for each round and arm: score, failure rate of each kind, rows, minutes (dev)."""
    table = build_figures_table(
        "Rounds, on dev", [(row.label, row.scores) for row in summary.rounds], limit=12
    )
    table.add_row(
        "trained rows", *(format_trained_rows(r.round) for r in summary.rounds), style="dim"
    )
    table.add_row("minutes", *(f"{r.round.seconds / 60:.1f}" for r in summary.rounds), style="dim")
    return table


def build_figures_table(
    title: str,
    models: Sequence[tuple[str, ScoresFigures]],
    limit: int,
    changes: Mapping[str, KindChange] | None = None,
) -> Table:
    """Score, coverage and failure rates with the items that each stands on, a column a model.

    ``changes`` adds a column: the paired fall of each kind from the reference to the final model,
    on the items that could be scored in both.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("")
    for label, _ in models:
        table.add_column(label.replace("base, ", ""), justify="right")
    if changes is not None:
        table.add_column("fall on items scored in both, 95 %", justify="right")
    scores = [scores for _, scores in models]

    def add(name: str, cells: list[str], change: str = "", style: str = "") -> None:
        table.add_row(name, *cells, *([change] if changes is not None else []), style=style)

    leading = choose_leading_figures(scores)
    if any(figures is not s.score for figures, s in zip(leading, scores, strict=True)):
        primary = [(figures.mean, figures.scored_items) for figures in leading]
        add(*_share_count(leading[0].title, primary), style="bold")
    means = [(s.score.mean, s.score.scored_items) for s in scores]
    add(*_share_count("score: checks passed", means), style="bold")
    if any(s.score.coverage <= _FULL_COVERAGE for s in scores):
        add("  of the checks scored", [write_percent(s.score.coverage) for s in scores])
        add("  unscored as failed", [write_percent(s.score.floor) for s in scores])
    chosen = choose_kinds(scores, limit)
    for kind in chosen:
        kinds = [s.kinds.get(kind) for s in scores]
        rates = [(k.rate, k.scored) if k else (None, 0) for k in kinds]
        add(
            *_share_count(f"fails {kind_words(kind)}", rates),
            _describe_change((changes or {}).get(kind)),
        )
    table.caption = "\n".join([*_list_notes(chosen, changes)]) or None
    table.caption_justify = "left"
    return table


def _list_notes(kinds: Sequence[str], changes: Mapping[str, KindChange] | None) -> Iterator[str]:
    """What stands below a table of rates."""
    if changes is not None:
        yield "*: stands when everything that was tested is counted"
    yield from (f"{kind}: {KIND_LIMITS[kind]}" for kind in kinds if kind in KIND_LIMITS)


def _share_count(name: str, figures: Sequence[tuple[float | None, int]]) -> tuple[str, list[str]]:
    """A line's name and cells; the items are told once where they are as many in every cell."""
    counts = {count for rate, count in figures if rate is not None}
    if len(counts) == 1:
        return f"{name}, of {counts.pop()}", [write_percent(rate) for rate, _ in figures]
    return name, [
        "–" if rate is None else f"{write_percent(rate)} of {count}" for rate, count in figures
    ]


def _describe_change(change: KindChange | None) -> str:
    if change is None:
        return ""
    stands = "*" if change.status in SIGNIFICANT else " "
    interval = format_short_interval(change.low, change.high)
    return (
        f"{100 * change.before_rate:.0f} → {write_percent(change.after_rate, 0)} of {change.n}: "
        f"{100 * change.delta:+.0f} {interval}{stands}"
    )


def choose_kinds(scores: Sequence[ScoresFigures], limit: int) -> list[str]:
    """The kinds worth a line: the general ones, then those that fail most."""
    worst: dict[str, float] = {}
    for row in scores:
        for kind, rate in row.kinds.items():
            worst[kind] = max(worst.get(kind, 0.0), rate.rate or 0.0)
    first = [kind for kind in FIRST_KINDS if kind in worst]
    rest = sorted((k for k in worst if k not in FIRST_KINDS and worst[k]), key=lambda k: -worst[k])
    return (first + rest)[:limit]


def build_issues_table(summary: RunSummary) -> Table:
    """Two lines an issue: what it is, and its last verdict on dev and the sealed test's."""
    table = Table(
        title=f"Issues{_of_final(summary)}: measured on the part of dev that did not choose them",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("verdict", no_wrap=True)
    table.add_column("issue, failing items in % and their fall with its 95 % interval")
    table.add_column("id", no_wrap=True, style="dim")
    for row in summary.issues:
        status = Text(row.status, style=status_colour(row.status))
        table.add_row(status, describe_issue(row), row.issue.id[3:9])
    return table


def describe_issue(row: IssueRow) -> Text:
    """The issue, its figures on dev, and what the sealed test said."""
    text = Text(row.title or row.issue.title, style="bold")
    if row.issue.found_round:
        text.append(f" (found in round {row.issue.found_round})", style="dim")
    if row.latest:
        v = row.latest
        text.append(
            f"\ndev {100 * v.before_rate:.0f} → {write_percent(v.after_rate, 0)} of {v.n}, "
            f"{100 * v.delta:+.0f} {format_short_interval(v.low, v.high)}",
            style="not bold",
        )
    test = row.confirmed
    if test is not None and test.n:
        text.append(
            f"; sealed {100 * test.before_rate:.0f} → {write_percent(test.after_rate, 0)} of {test.n}, ",
            style="not bold",
        )
        text.append(test.status, style=status_colour(test.status) or "not bold")
    elif test is not None:
        text.append("; sealed: no item could be scored in both", style="not bold")
    if row.labelled:
        text.append(f"\n{row.labelled.sentence}", style="not bold")
    if row.noise and row.noise.words:
        noise_line = f"\ntwo trainings differ by, in points: {row.noise.words}"
        text.append(noise_line, style="not bold dim")
    return text


def _of_final(summary: RunSummary) -> str:
    return f" of the final model, {summary.final}" if summary.final else ""


def format_short_interval(low: float, high: float) -> str:
    """An interval in whole percentage points."""
    return f"[{100 * low:+.0f}, {100 * high:+.0f}]"


def build_sealed_table(test: SealedTest) -> Table:
    """Base against final on the sealed test."""
    others = [side for key, side in test.sides.items() if key != test.final]
    sides = [*sorted(others, key=lambda side: "few-shot" in side.label), test.sides[test.final]]
    return build_figures_table(
        "Sealed test: scored once, never used before; the fall is from the best prompt",
        [(side.label, side.scores) for side in sides],
        limit=14,
        changes=test.sides[test.reference].against_final,
    )


def build_differences_table(
    name: str, than: str, rows: Sequence[dict[str, Any]], margin: float
) -> Table:
    """What each benchmark says of two models: kept, improved, forgotten or inconclusive."""
    loss = write_margin(margin, [d["metric"] for d in rows])
    title = f"{name} against {than}, same items; kept: no loss beyond {loss}"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("task", "metric", "difference", "95 %", "fixed", "broken", "p", "verdict"):
        table.add_column(
            column,
            justify="left" if column in ("task", "metric", "verdict") else "right",
            no_wrap=column in ("95 %", "verdict"),  # the others give way in a narrow terminal
        )
    for d in rows:
        table.add_row(
            d["task"],
            d["metric"],
            f"{write_change(d)} {name_change_unit(d['metric'])}",
            write_change_interval(d),
            str(d["fixed"]),
            str(d["broken"]),
            f"{d['p_value']:.3f}",
            d["status"],
        )
    return table
