"""Charts of a sweep: a learning curve a metric, and size against quality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from markupsafe import Markup

from residency.report.svg import Anchor, Drawing, Role, clip_text
from residency.results.number_formats import format_interval
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.sweep.sweep_result import find_lead_variant
from residency.text.percent import write_percent

SHOWN_CURVES = 13
"""Curves that are drawn; the sentences of all are written."""
MOST_NAMED = 6
"""Points of a chart that all have their names beside them."""
LETTER, LINE = 6.2, 12.0
"""Width of a letter and height of a line of labels, roughly."""


@dataclass(frozen=True)
class SweepSection:
    """The last result of ``residency sweep``, drawn.

    Attributes:
        body: as stored. charts: of the first curves. sizes: quality against the time of an answer.
    """

    body: Mapping[str, Any]
    charts: list[Markup]
    sizes: Markup


def read_sweep(results: RunResults) -> SweepSection | None:
    """The last sweep of a run, where there is one."""
    records = results.store.records(RecordKind.SWEEP, results.run)
    if not records:
        return None
    return draw_sweep(records[-1])


def draw_sweep(body: Mapping[str, Any]) -> SweepSection:
    """A stored result with its charts."""
    short = shorten_names(list(dict.fromkeys(curve["variant"] for curve in body["curves"])))
    charts = [
        draw_curve(curve, short[curve["variant"]] if len(short) > 1 else "")
        for curve in choose_curves(body)[:SHOWN_CURVES]
    ]
    return SweepSection(body, charts, draw_sizes(body["sizes"], body["metric"], body["best"]))


def choose_curves(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The score of every variant, and the issues of one: that of all would bury what differs."""
    lead = find_lead_variant(body)
    scores = [curve for curve in body["curves"] if not curve["issue"]]
    issues = [curve for curve in body["curves"] if curve["issue"] and curve["variant"] == lead]
    return sorted(scores, key=lambda curve: bool(curve["variant"] != lead)) + issues


def shorten_names(names: Sequence[str]) -> dict[str, str]:
    """Names of variants by their whole names, without the parts at the beginning that all share."""
    parts = [name.split(", ") for name in names]
    columns = list(zip(*parts, strict=False)) if len(names) > 1 else []
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, columns)))
    return {name: ", ".join(one[shared:]) or name for name, one in zip(names, parts, strict=True)}


def draw_curve(curve: Mapping[str, Any], variant: str = "") -> Markup:
    """Measured rates with their intervals, and the curve up to four times the rows.

    The primary metric is drawn rising, an issue's failures falling, with its tolerance dashed.
    ``variant`` is written where a report shows several.
    """
    rising = not curve["issue"]
    width, height, left, right, top, bottom = 268.0, 190.0, 44.0, 8.0, 42.0, 32.0
    drawing = Drawing(width, height, f"{curve['title']} by rows")
    first, last = curve["curve"][0]["rows"], curve["curve"][-1]["rows"]
    span = math.log(max(last, first + 1) / first)

    def locate(rows: float, rate: float) -> tuple[float, float]:
        x = left + math.log(max(rows, first) / first) / span * (width - left - right)
        share = 1 - rate if rising else rate
        return x, height - bottom - share * (height - bottom - top)

    what = f"{curve['title']}{', failing' if variant and not rising else ''}"
    drawing.text(0, 12, clip_text(what, 34), "ink", size=12)
    drawing.text(0, 25, clip_text(variant, 46) or ("right" if rising else "failing"))
    for share in (0.0, 0.5, 1.0):
        y = height - bottom - share * (height - bottom - top)
        drawing.line((left, y), (width - right, y), "line", opacity=0.6)
        drawing.text(left - 5, y + 4, write_percent(share, 0), anchor="end")
    if curve["tolerance"] is not None:
        drawing.line(
            locate(first, curve["tolerance"]), locate(last, curve["tolerance"]), "good", dashed=True
        )
    for bound in ("low", "high"):
        drawing.path([locate(p["rows"], p[bound]) for p in curve["curve"]], "muted", width=0.8)
    drawing.path([locate(p["rows"], p["rate"]) for p in curve["curve"]], "accent", width=1.6)
    for point in curve["measured"]:
        low, high = locate(point["rows"], point["low"]), locate(point["rows"], point["high"])
        drawing.line(low, high, "ink", width=2.0, opacity=0.4)
        x, y = locate(point["rows"], point["rate"])
        rate = 1 - point["rate"] if rising else point["rate"]
        hint = f"{point['rows']} rows, {point['trainings']} trainings: {write_percent(rate)}"
        drawing.dot(x, y, "ink", hint=hint)
        drawing.text(x, height - bottom + 14, str(point["rows"]), anchor="middle", size=10)
    drawing.text(width - right, height - bottom + 14, str(last), anchor="end", size=10)
    drawing.text(width / 2, height - 4, "training rows, on a log scale", anchor="middle", size=10)
    return drawing.to_markup()


def draw_sizes(rows: Sequence[Mapping[str, Any]], metric: str, best: str = "") -> Markup:
    """Each way to answer: its score with the interval, against the seconds of an answer.

    Of many, those on the front and the ``best`` are named; the others when they are pointed at.
    """
    shown = [row for row in rows if row["score"]["mean"] is not None and row["answer_seconds"] > 0]
    if not shown:
        return Markup("")
    width, height, left, right, top, bottom = 524.0, 230.0, 44.0, 20.0, 24.0, 34.0
    drawing = Drawing(width, height, f"{metric} against the time of an answer")
    times = [row["answer_seconds"] for row in shown]
    first, last = min(times) / 1.3, max(times) * 1.3
    named = [r for r in shown if len(shown) <= MOST_NAMED or r["on_front"] or r["name"] == best]
    labels = _Labels(top=top, bottom=height - bottom - 4)

    def locate(seconds: float, share: float) -> tuple[float, float]:
        x = left + math.log(seconds / first) / math.log(last / first) * (width - left - right)
        return x, height - bottom - share * (height - bottom - top)

    drawing.text(0, 12, metric)
    for share in (0.0, 0.5, 1.0):
        y = locate(first, share)[1]
        drawing.line((left, y), (width - right, y), "line", opacity=0.6)
        drawing.text(left - 6, y + 4, write_percent(share, 0), anchor="end")
    front = sorted((r for r in shown if r["on_front"]), key=lambda r: float(r["answer_seconds"]))
    if len(front) > 1:
        drawing.path(
            [locate(r["answer_seconds"], r["score"]["mean"]) for r in front], "line", width=1.4
        )
    for seconds in choose_time_ticks(first, last):
        x = locate(seconds, 0)[0]
        drawing.text(x, height - bottom + 14, f"{seconds:g}", anchor="middle", size=10)
    for row in sorted(shown, key=lambda row: row not in named, reverse=True):
        score, seconds = row["score"], row["answer_seconds"]
        role: Role = "accent" if row["on_front"] else "muted"
        drawing.line(
            locate(seconds, score["low"]),
            locate(seconds, score["high"]),
            role,
            width=2.2,
            opacity=0.45,
        )
        x, y = locate(seconds, score["mean"])
        name = f"{row['name']}, {row['rows']} rows" if row["rows"] else str(row["name"])
        hint = (
            f"{name}: {write_percent(score['mean'])}, 95 % interval "
            f"{format_interval(score['low'], score['high'])}, {seconds:.2f} s"
        )
        drawing.dot(x, y, role, hint=hint, hollow=not row["on_front"])
        if row in named:
            anchor: Anchor = "end" if x > width * 0.6 else "start"
            label, start = clip_text(name, 54), x + (-8 if anchor == "end" else 8)
            y = labels.choose_baseline(start, y - 6, len(label), anchor)
            drawing.text(start, y, label, "ink", anchor=anchor)
    drawing.text(width / 2, height - 4, "seconds an answer, on a log scale", anchor="middle")
    return drawing.to_markup()


class _Labels:
    """Lines for labels that do not lie upon one another, each as near as may be to where it belongs."""

    def __init__(self, top: float, bottom: float) -> None:
        self._top, self._bottom = top, bottom
        self._taken: list[tuple[float, float, float]] = []

    def choose_baseline(self, x: float, y: float, letters: int, anchor: Anchor) -> float:
        """The baseline of a label whose text begins (or ends) at x."""
        left = x - letters * LETTER if anchor == "end" else x
        right = left + letters * LETTER
        steps = int((self._bottom - self._top) / LINE) + 1
        offsets = sorted((n * LINE for n in range(-steps, steps + 1)), key=lambda d: (abs(d), d))
        free = [
            y + offset
            for offset in offsets
            if self._top <= y + offset <= self._bottom
            and not any(
                left < end and right > start and abs(y + offset - line) < LINE
                for start, end, line in self._taken
            )
        ]
        chosen = free[0] if free else y
        self._taken.append((left, right, chosen))
        return chosen


def choose_time_ticks(first: float, last: float) -> list[float]:
    """Seconds of 1, 2 or 5 times a power of ten between two ends of a log scale."""
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    ticks = [
        factor * 10.0**power
        for power in powers
        for factor in (1, 2, 5)
        if first <= factor * 10.0**power <= last
    ]
    return ticks or [float(f"{(first * last) ** 0.5:.2g}")]
