"""A small writer of SVG: shapes and text of one chart, colours by role, everything escaped.

Colours are CSS variables of the page, so that a picture reads in light, in dark and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup, escape

from residency.report.clean_text import clean_text

Role = Literal["ink", "soft", "line", "accent", "control", "good", "bad", "muted"]
Anchor = Literal["start", "middle", "end"]


class Drawing:
    """A chart being drawn. Lengths in CSS pixels, within the drawing's width."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width = width
        self.height = height
        self._title = title
        self._shapes: list[Markup] = []

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        role: Role,
        *,
        width: float = 1.0,
        opacity: float = 1.0,
        dashed: bool = False,
    ) -> None:
        """A straight line."""
        dash = Markup(' stroke-dasharray="4 3"') if dashed else ""
        self._shapes.append(
            Markup(
                '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="var(--{})" stroke-width="{}"'
                ' opacity="{}"{}/>'
            ).format(*_numbers(*start, *end), role, *_numbers(width, opacity), dash)
        )

    def path(self, points: Sequence[tuple[float, float]], role: Role, *, width: float) -> None:
        """A line through points."""
        steps = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._shapes.append(
            Markup(
                '<polyline points="{}" fill="none" stroke="var(--{})" stroke-width="{}"'
                ' stroke-linejoin="round"/>'
            ).format(steps, role, _number(width))
        )

    def bar(self, x: float, y: float, width: float, height: float, role: Role) -> None:
        """A filled rectangle."""
        self._shapes.append(
            Markup(
                '<rect x="{}" y="{}" width="{}" height="{}" fill="var(--{})" opacity="0.75"/>'
            ).format(*_numbers(x, y, max(0.0, width), height), role)
        )

    def dot(self, x: float, y: float, role: Role, *, hint: str = "", hollow: bool = False) -> None:
        """A point; ``hint`` shows when it is pointed at. Hollow where little stands behind it."""
        style = "fill:var(--paper, #fff);stroke:" if hollow else "stroke:none;fill:"
        inside = Markup("<title>{}</title>").format(clean_text(hint)) if hint else ""
        self._shapes.append(
            Markup('<circle cx="{}" cy="{}" r="{}" style="{}var(--{})">{}</circle>').format(
                *_numbers(x, y, 4.0), style, role, inside
            )
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        role: Role = "soft",
        *,
        size: float = 11.0,
        anchor: Anchor = "start",
    ) -> None:
        """A line of text with its baseline at y."""
        self._shapes.append(
            Markup(
                '<text x="{}" y="{}" font-size="{}" text-anchor="{}" fill="var(--{})">{}</text>'
            ).format(*_numbers(x, y, size), anchor, role, clean_text(text))
        )

    def to_markup(self) -> Markup:
        """The element, with a title for readers that cannot see it."""
        title = escape(clean_text(self._title))
        return Markup(
            '<svg role="img" class="chart" style="max-width:{0}px" viewBox="0 0 {0} {1}"'
            ' xmlns="http://www.w3.org/2000/svg"><title>{2}</title>{3}</svg>'
        ).format(*_numbers(self.width, self.height), title, Markup("").join(self._shapes))


def clip_text(text: str, most: int = 60) -> str:
    """A label that fits."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def choose_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values between two ends: steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"


def _numbers(*values: float) -> list[str]:
    return [_number(value) for value in values]
