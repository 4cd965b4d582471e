"""Charts of figures by round: the score, and each kind's failure rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from residency.report.svg import Drawing, Role
from residency.results.kinds import kind_words
from residency.results.leading_figures import choose_leading_figures
from residency.results.model_results import ModelResult
from residency.results.number_formats import format_interval, format_percent
from residency.text.percent import write_percent


@dataclass(frozen=True)
class _Point:
    model: ModelResult
    value: float
    low: float
    high: float
    count: int
    coverage: float
    thin: bool


def draw_score_chart(models: Sequence[ModelResult]) -> Markup:
    """The score by round on dev, with its interval; the control arm stands apart."""
    leading = choose_leading_figures([model.scores for model in models])
    points = [
        _Point(m, s.mean, s.low, s.high, s.scored_items, s.coverage, s.is_thin)
        for m, s in zip(models, leading, strict=True)
        if s.mean is not None
    ]
    what = leading[0].title if leading else ""
    return _draw_points(points, f"{what} by round", f"{what}, dev", width=520, height=190)


def draw_rate_chart(kind: str, models: Sequence[ModelResult]) -> Markup:
    """A kind's failure rate by model on dev, with its interval; the control arm stands apart."""
    points = [
        _Point(m, r.rate, r.low, r.high, r.scored, r.coverage, r.is_thin)
        for m in models
        if (r := m.scores.kinds.get(kind)) is not None and r.rate is not None
    ]
    title = f"{kind_words(kind)} by round"
    return _draw_points(points, title, "answers failing, dev", width=260, height=160)


def _draw_points(
    points: Sequence[_Point], title: str, axis: str, *, width: float, height: float
) -> Markup:
    if not points:
        return Markup("")
    drawing = Drawing(width, height, title)
    left, right, top, bottom = 44.0, 8.0, 22.0, 24.0
    floor = height - bottom

    def y_of(value: float) -> float:
        return floor - value * (floor - top)

    step = (width - left - right) / len(points)
    drawing.text(0, 11, axis)
    for share in (0.0, 0.5, 1.0):
        drawing.line((left, y_of(share)), (width - right, y_of(share)), "line", opacity=0.6)
        drawing.text(left - 6, y_of(share) + 4, write_percent(share, 0), anchor="end")
    places = [left + step * (number + 0.5) for number in range(len(points))]
    mains = [
        (x, y_of(point.value))
        for x, point in zip(places, points, strict=True)
        if not point.model.is_control
    ]
    if len(mains) > 1:
        drawing.path(mains, "line", width=1.4)
    for x, point in zip(places, points, strict=True):
        role: Role = "control" if point.model.is_control else "accent"
        role = "muted" if point.thin else role
        drawing.line((x, y_of(point.low)), (x, y_of(point.high)), role, width=2.2, opacity=0.45)
        hint = (
            f"{point.model.label}: {format_percent(point.value)} "
            f"({format_interval(point.low, point.high)}) of {point.count}"
        )
        if point.coverage < 0.995:
            hint += f"; {format_percent(point.coverage, 0)} could be scored"
        drawing.dot(x, y_of(point.value), role, hint=hint, hollow=point.thin)
        drawing.text(x, height - 7, point.model.short_label, anchor="middle")
    return drawing.to_markup()
