"""Charts as inline SVG: Altair draws, vl-convert renders, no network and no JavaScript.

Colours are named by role and become CSS variables, so the same picture reads in light, in dark
and on paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import count
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from residency.results.views import Arm, IssueView
from residency.results.words import kind_words

ROLES = {
    "ink": "#101112",
    "soft": "#606162",
    "line": "#d0d1d2",
    "accent": "#1f5fa1",
    "control": "#b4641e",
    "good": "#1e7f4e",
    "bad": "#b4282d",
    "muted": "#8a8b8c",
}
"""Stand-in colours; each becomes ``var(--NAME)`` in the page."""

_FONT = "Helvetica, Arial, sans-serif"
_unique = count(1)


def rate_chart(kind: str, arms: Sequence[Arm], *, width: int = 215, height: int = 108) -> Markup:
    """A kind's failure rate by model on dev, with its interval; the control arm stands apart."""
    rows = []
    for place, arm in enumerate(arms):
        rate = arm.scores["kinds"].get(kind)
        if rate and rate["rate"] is not None:
            rows.append(
                {
                    "model": short_label(arm),
                    "place": place,
                    "arm": "control" if arm.arm == "control" else "main",
                    "rate": rate["rate"],
                    "low": rate["low"],
                    "high": rate["high"],
                }
            )
    if not rows:
        return Markup("")
    data = _data(rows)
    x = alt.X(
        "model:N",
        sort=[short_label(arm) for arm in arms],
        title=None,
        axis=alt.Axis(labelAngle=0, labelOverlap=False, ticks=False, labelPadding=5),
    )
    color = alt.Color(
        "arm:N",
        scale=alt.Scale(domain=["main", "control"], range=[ROLES["accent"], ROLES["control"]]),
        legend=None,
    )
    y = _percent_axis("rate:Q")
    whisker = (
        alt.Chart(data)
        .mark_rule(strokeWidth=2.2, opacity=0.45)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color)
    )
    dots = alt.Chart(data).mark_point(filled=True, size=46, opacity=1).encode(x=x, y=y, color=color)
    path = (
        alt.Chart(data)
        .transform_filter("datum.arm === 'main'")
        .mark_line(strokeWidth=1.4, opacity=0.55, color=ROLES["accent"])
        .encode(x=x, y=y)
    )
    return render(path + whisker + dots, width, height, f"{kind_words(kind)} by round")


def forest_chart(views: Sequence[IssueView], *, width: int = 640) -> Markup:
    """Each issue's fall with its 95 % interval: on dev and, filled, on the sealed test."""
    rows = []
    for view in views:
        for verdict, where in ((view.latest, "dev"), (view.confirmed, "sealed test")):
            if verdict is not None and verdict.n and math.isfinite(verdict.low):
                rows.append(
                    {
                        "issue": clipped(view.title),
                        "where": where,
                        "delta": verdict.delta,
                        "low": verdict.low,
                        "high": verdict.high,
                    }
                )
    if not rows:
        return Markup("")
    data = _data(rows)
    order = list(dict.fromkeys(clipped(view.title) for view in views))
    y = alt.Y("issue:N", sort=order, title=None, axis=alt.Axis(ticks=False, labelLimit=330))
    offset = alt.YOffset("where:N", sort=["dev", "sealed test"])
    color = alt.Color(
        "where:N",
        scale=alt.Scale(domain=["dev", "sealed test"], range=[ROLES["accent"], ROLES["good"]]),
        legend=alt.Legend(title=None, orient="top", symbolType="circle"),
    )
    x = alt.X(
        "delta:Q",
        title="fall of the failure rate (percentage points; right of 0 is better)",
        axis=alt.Axis(labelExpr="format(datum.value * 100, '+.0f')", tickCount=7),
    )
    zero = (
        alt.Chart(_data([{"at": 0}]))
        .mark_rule(color=ROLES["soft"], strokeDash=[4, 3])
        .encode(x="at:Q")
    )
    bars = (
        alt.Chart(data)
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(y=y, yOffset=offset, x=alt.X("low:Q"), x2="high:Q", color=color)
    )
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, size=44, opacity=1)
        .encode(y=y, yOffset=offset, x=x, color=color)
    )
    return render(zero + bars + dots, width, 32 * len(order), "issues, with intervals")


def arms_chart(views: Sequence[IssueView], number: int, *, width: int = 640) -> Markup:
    """Failure rate of each issue with random rows against targeted rows, as a dumbbell."""
    rows, lines = [], []
    for view in views:
        row = view.arms.get(number)
        if not row or not row["n"]:
            continue
        name = clipped(view.title)
        lines.append({"issue": name, "low": row["before_rate"], "high": row["after_rate"]})
        rows.append({"issue": name, "arm": "random rows", "rate": row["before_rate"]})
        rows.append({"issue": name, "arm": "targeted rows", "rate": row["after_rate"]})
    if not rows:
        return Markup("")
    order = [line["issue"] for line in lines]
    y = alt.Y("issue:N", sort=order, title=None, axis=alt.Axis(ticks=False, labelLimit=330))
    bars = (
        alt.Chart(_data(lines))
        .mark_rule(strokeWidth=3, color=ROLES["line"])
        .encode(y=y, x=alt.X("low:Q"), x2="high:Q")
    )
    dots = (
        alt.Chart(_data(rows))
        .mark_point(filled=True, size=56, opacity=1)
        .encode(
            y=y,
            x=alt.X(
                "rate:Q",
                title="failure rate on the measuring half of dev",
                scale=alt.Scale(domain=[0, max(0.2, *(row["rate"] for row in rows))]),
                axis=alt.Axis(format=".0%", tickCount=5),
            ),
            color=alt.Color(
                "arm:N",
                scale=alt.Scale(
                    domain=["random rows", "targeted rows"],
                    range=[ROLES["control"], ROLES["accent"]],
                ),
                legend=alt.Legend(title=None, orient="top", symbolType="circle"),
            ),
        )
    )
    return render(bars + dots, width, 24 * len(order), "targeted against random rows")


def loss_chart(arms: Sequence[Arm], *, width: int = 820, height: int = 190) -> Markup:
    """Training loss by step, one line a training."""
    rows = [
        {"step": point["step"], "loss": point["loss"], "model": arm.label}
        for arm in arms
        for point in thinned(arm.curve)
        if isinstance(point.get("loss"), int | float) and math.isfinite(point["loss"])
    ]
    if not rows:
        return Markup("")
    names = list(dict.fromkeys(row["model"] for row in rows))
    ranges = [ROLES[name] for name in ("accent", "good", "control", "muted", "bad", "ink")]
    chart = (
        alt.Chart(_data(rows))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("step:Q", title="optimizer step", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("loss:Q", title="loss (nats a token)", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "model:N",
                sort=names,
                scale=alt.Scale(domain=names, range=ranges[: len(names)]),
                legend=alt.Legend(title=None, orient="top"),
            ),
        )
    )
    return render(chart, width, height, "training loss")


def stage_chart(stages: Sequence[tuple[str, float]], *, width: int = 640) -> Markup:
    """Where the time went, in minutes."""
    rows = [{"stage": clipped(name), "minutes": seconds / 60} for name, seconds in stages]
    if not rows:
        return Markup("")
    chart = (
        alt.Chart(_data(rows))
        .mark_bar(color=ROLES["accent"], opacity=0.75, height=11)
        .encode(
            y=alt.Y("stage:N", sort=None, title=None, axis=alt.Axis(ticks=False, labelLimit=260)),
            x=alt.X("minutes:Q", title="minutes", axis=alt.Axis(tickCount=6)),
        )
    )
    return render(chart, width, 22 * len(rows), "time by stage")


def thinned(curve: Sequence[Mapping[str, Any]], most: int = 400) -> list[Mapping[str, Any]]:
    """At most ``most`` points of a curve, the last one kept."""
    stride = max(1, math.ceil(len(curve) / most))
    kept = list(curve[::stride])
    if curve and kept[-1] is not curve[-1]:
        kept.append(curve[-1])
    return kept


def short_label(arm: Arm) -> str:
    """A column's name where space is short."""
    if arm.number == 0:
        return "zero" if arm.arm == "zero-shot" else "few"
    return f"r{arm.number}c" if arm.arm == "control" else f"r{arm.number}"


def clipped(text: str, most: int = 52) -> str:
    """A label that fits beside a chart."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _percent_axis(field: str) -> alt.Y:
    return alt.Y(
        field,
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", values=[0, 0.5, 1]),
    )


def _data(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"values": rows}


def render(chart: Any, width: int, height: int, title: str) -> Markup:
    """An Altair chart as an SVG element with CSS variables for colours and a title for readers
    that cannot see it. Text comes out escaped by the renderer."""
    spec = chart.properties(width=width, height=height).to_dict()
    spec["config"] = {
        "padding": {"left": 8, "right": 14, "top": 4, "bottom": 4},
        "font": _FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": {
            "labelColor": ROLES["soft"],
            "titleColor": ROLES["soft"],
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "domainColor": ROLES["line"],
            "tickColor": ROLES["line"],
            "gridColor": ROLES["line"],
            "gridOpacity": 0.6,
        },
        "legend": {"labelColor": ROLES["ink"], "labelFontSize": 12},
        "axisY": {"domain": False},
    }
    svg: str = vl_convert.vegalite_to_svg(spec)
    return _inlined(svg, title)


def _inlined(svg: str, title: str) -> Markup:
    for name, color in ROLES.items():
        svg = svg.replace(color, f"var(--{name})")
    # clip paths of several charts on one page must not share an id
    prefix = f"c{next(_unique)}-"
    svg = re.sub(r'id="([^"]+)"', rf'id="{prefix}\1"', svg)
    svg = svg.replace("url(#", f"url(#{prefix}")
    svg = svg.replace('class="marks" ', "")
    svg = re.sub(r"<\?xml[^>]*\?>|<!DOCTYPE[^>]*>", "", svg)
    size = re.search(r'<svg[^>]*?width="([\d.]+)"[^>]*?height="([\d.]+)"', svg)
    width = float(size.group(1)) if size else 0
    svg = re.sub(
        r"<svg ",
        f'<svg role="img" class="chart" style="max-width:{width:.0f}px" ',
        svg,
        count=1,
    )
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+" height="[\d.]+"', r"\1", svg, count=1)
    opening, rest = svg.split(">", 1)
    return Markup("{}><title>{}</title>{}").format(Markup(opening), title, Markup(rest))


@cache
def versions() -> dict[str, str]:
    """The libraries that drew the charts."""
    return {name: version(name) for name in ("altair", "vl-convert-python")}
