"""Charts of issues: how far each fell, and what targeted rows did beyond random ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from residency.report.svg import Drawing, Role, choose_ticks, clip_text
from residency.results.issue_results import IssueResult
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.text.percent import write_percent

_WIDTH = 560.0
_MARGIN = 12.0


def draw_forest_chart(issues: Sequence[IssueResult]) -> Markup:
    """Each issue's fall with its 95 % interval: on dev and, below it, on the sealed test."""
    rows = []
    for issue in issues:
        bars = [
            (where, role, verdict)
            for where, role, verdict in (
                ("dev", "accent", issue.latest),
                ("sealed test", "good", issue.confirmed),
            )
            if verdict is not None and verdict.n and math.isfinite(verdict.low)
        ]
        if bars:
            rows.append((issue.title, bars))
    if not rows:
        return Markup("")
    verdicts = [verdict for _, bars in rows for _, _, verdict in bars]
    low = min(0.0, *(verdict.low for verdict in verdicts))
    high = max(0.0, *(verdict.high for verdict in verdicts))
    drawing = Drawing(_WIDTH, 34.0 + 40.0 * len(rows) + 30.0, "issues and their falls")
    _draw_legend(drawing, (("dev", "accent"), ("sealed test", "good")))

    def x_of(value: float) -> float:
        return _MARGIN + (value - low) / ((high - low) or 1.0) * (_WIDTH - 2 * _MARGIN)

    bottom = 34.0 + 40.0 * len(rows)
    for tick in choose_ticks(low, high):
        drawing.line((x_of(tick), 26), (x_of(tick), bottom), "line", opacity=0.5)
        drawing.text(x_of(tick), bottom + 13, f"{100 * tick:+.0f}", anchor="middle")
    drawing.line((x_of(0), 26), (x_of(0), bottom), "soft", dashed=True)
    words = "fall of the failure rate in points; right of 0 is better"
    drawing.text(_WIDTH / 2, bottom + 27, words, anchor="middle")
    for number, (title, bars) in enumerate(rows):
        top = 34.0 + 40.0 * number
        drawing.text(_MARGIN, top + 11, clip_text(title, 78), "ink", size=12)
        for bar_number, (where, name, verdict) in enumerate(bars):
            y = top + 20.0 + 9.0 * bar_number
            role: Role = "accent" if name == "accent" else "good"
            drawing.line(
                (x_of(verdict.low), y), (x_of(verdict.high), y), role, width=3, opacity=0.5
            )
            interval = format_interval(verdict.low, verdict.high, signed=True)
            hint = f"{where}: {format_points(verdict.delta)} points ({interval}), n {verdict.n}"
            drawing.dot(x_of(verdict.delta), y, role, hint=hint)
    return drawing.to_markup()


def draw_arms_chart(issues: Sequence[IssueResult], number: int) -> Markup:
    """Failure rate of each issue with random rows and with targeted rows, joined by a line."""
    rows = [(i.title, i.arms[number]) for i in issues if number in i.arms and i.arms[number].n]
    if not rows:
        return Markup("")
    highest = max(0.2, *(max(row.before_rate, row.after_rate) for _, row in rows))
    drawing = Drawing(_WIDTH, 34.0 + 34.0 * len(rows) + 30.0, "targeted against random rows")
    _draw_legend(drawing, (("random rows", "control"), ("targeted rows", "accent")))

    def x_of(value: float) -> float:
        return _MARGIN + value / highest * (_WIDTH - 2 * _MARGIN)

    bottom = 34.0 + 34.0 * len(rows)
    for tick in choose_ticks(0.0, highest):
        drawing.line((x_of(tick), 26), (x_of(tick), bottom), "line", opacity=0.5)
        drawing.text(x_of(tick), bottom + 13, write_percent(tick, 0), anchor="middle")
    words = "failure rate on the part of dev that measures"
    drawing.text(_WIDTH / 2, bottom + 27, words, anchor="middle")
    for row_number, (title, row) in enumerate(rows):
        top = 34.0 + 34.0 * row_number
        y = top + 23.0
        drawing.text(_MARGIN, top + 11, clip_text(title, 78), "ink", size=12)
        drawing.line((x_of(row.before_rate), y), (x_of(row.after_rate), y), "line", width=3)
        random, targeted = format_percent(row.before_rate), format_percent(row.after_rate)
        drawing.dot(x_of(row.before_rate), y, "control", hint=f"random {random} of {row.n}")
        drawing.dot(x_of(row.after_rate), y, "accent", hint=f"targeted {targeted} of {row.n}")
    return drawing.to_markup()


def _draw_legend(drawing: Drawing, entries: Sequence[tuple[str, Role]]) -> None:
    x = _MARGIN
    for name, role in entries:
        drawing.dot(x + 4, 10, role)
        drawing.text(x + 13, 14, name, "ink", size=12)
        x += 24 + 7 * len(name)
