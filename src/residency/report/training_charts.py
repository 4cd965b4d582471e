"""Charts of work: the loss of each training, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from residency.report.svg import Drawing, Role, choose_ticks, clip_text

_ROLES: tuple[Role, ...] = ("accent", "good", "control", "muted", "bad", "ink")


def draw_loss_chart(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Markup:
    """Training loss by step, one line a training (by label)."""
    lines = {
        label: [
            (int(point["step"]), float(point["loss"]))
            for point in thin_curve(curve)
            if isinstance(point.get("loss"), int | float) and math.isfinite(point["loss"])
        ]
        for label, curve in curves.items()
    }
    lines = {label: points for label, points in lines.items() if points}
    if not lines:
        return Markup("")
    width, height, left, top, bottom = 620.0, 240.0, 40.0, 40.0, 34.0
    drawing = Drawing(width, height, "training loss")
    every = [point for points in lines.values() for point in points]
    last = max(1, *(step for step, _ in every))
    highest = max(loss for _, loss in every) or 1.0

    def locate(step: int, loss: float) -> tuple[float, float]:
        x = left + step / last * (width - left - 10)
        return x, height - bottom - loss / highest * (height - bottom - top)

    for tick in choose_ticks(0.0, highest, 5):
        _, y = locate(0, tick)
        drawing.line((left, y), (width - 10, y), "line", opacity=0.6)
        drawing.text(left - 6, y + 4, f"{tick:g}", anchor="end")
    for tick in choose_ticks(0.0, float(last), 7):
        if tick == int(tick):
            drawing.text(
                locate(int(tick), 0)[0], height - bottom + 14, f"{tick:g}", anchor="middle"
            )
    drawing.text(width / 2, height - 4, "optimizer step", anchor="middle")
    drawing.text(0, 32, "loss (nats a token)")
    x = 0.0
    for number, (label, points) in enumerate(lines.items()):
        role = _ROLES[number % len(_ROLES)]
        drawing.line((x, 9), (x + 14, 9), role, width=2)
        drawing.text(x + 18, 13, clip_text(label, 24), "ink", size=12)
        x += 34 + 7 * min(24, len(label))
        drawing.path([locate(*point) for point in points], role, width=1.6)
    return drawing.to_markup()


def draw_time_chart(stages: Sequence[tuple[str, float]]) -> Markup:
    """Where the time went (names and seconds), in minutes."""
    if not stages:
        return Markup("")
    width, left = 560.0, 180.0
    drawing = Drawing(width, 22.0 * len(stages) + 30.0, "time by stage")
    longest = max(seconds for _, seconds in stages) / 60 or 1.0

    def x_of(minutes: float) -> float:
        return left + minutes / longest * (width - left - 20)

    bottom = 22.0 * len(stages)
    for tick in choose_ticks(0.0, longest):
        drawing.line((x_of(tick), 0), (x_of(tick), bottom), "line", opacity=0.5)
        drawing.text(x_of(tick), bottom + 13, f"{tick:g}", anchor="middle")
    drawing.text((left + width) / 2, bottom + 27, "minutes", anchor="middle")
    for number, (name, seconds) in enumerate(stages):
        y = 22.0 * number
        drawing.text(left - 8, y + 15, clip_text(name, 28), anchor="end")
        drawing.bar(left, y + 5, x_of(seconds / 60) - left, 11, "accent")
    return drawing.to_markup()


def thin_curve(curve: Sequence[Mapping[str, Any]], most: int = 400) -> list[Mapping[str, Any]]:
    """At most ``most`` points of a curve, and the last one."""
    stride = max(1, math.ceil(len(curve) / most))
    points = list(curve[::stride])
    if curve and points[-1] is not curve[-1]:
        points.append(curve[-1])
    return points
