"""The loss curve as one small SVG file, written beside the weights after each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 40
NAME = "loss.svg"


def write_curve(
    folder: Path,
    losses: Sequence[float],
    evaluations: Sequence[tuple[int, float]] = (),
    best_step: int = 0,
) -> Path:
    """Write ``folder/loss.svg``: the loss of each step, its moving mean, and the best step."""
    notes = [f"loss in nats: {len(losses)} steps", f"last {losses[-1]:.3f}"]
    if best_step:
        notes.append(f"best score {dict(evaluations)[best_step]:.3f} at step {best_step}")
    path = folder / NAME
    mark = best_step if 0 < best_step < len(losses) else 0
    path.write_text(draw([("loss", losses)], title=", ".join(notes), mark=mark), encoding="utf-8")
    return path


def draw(curves: Sequence[tuple[str, Sequence[float]]], *, title: str, mark: int = 0) -> str:
    """An SVG of loss curves, from step 1 on: each step thin, the mean of about 5 % of them thick."""
    steps = max(len(values) for _, values in curves)
    flat = [value for _, values in curves for value in values]
    low, high = min(0.0, min(flat)), max(flat)
    ticks = _ticks(low, high)
    high = max(high, ticks[-1])
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" fill="#222">{escape(title)}</text>',
    ]

    def x(step: float) -> float:
        return LEFT + (step - 1) / max(1, steps - 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    for tick in ticks:
        out.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
            f'stroke="#ddd"/><text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" '
            f'fill="#555">{tick:g}</text>'
        )
    for tick in [1, *(t for t in _ticks(1, steps) if 1 < t <= steps and t == int(t))]:
        out.append(
            f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" '
            f'fill="#555">{tick:g}</text>'
        )
    out.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end" fill="#555">step</text>'
    )
    if mark:
        out.append(
            f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
    for number, (name, values) in enumerate(curves):
        colour = ("#2f6db5", "#c8641e", "#3d8b4f")[number % 3]
        dash = ' stroke-dasharray="7 5"' if number else ""
        mean = smooth(values)
        out.append(
            _line([(x(n + 1), y(v)) for n, v in enumerate(values)], colour, 1, ' opacity=".35"')
        )
        out.append(_line([(x(n + 1), y(v)) for n, v in enumerate(mean)], colour, 2, dash))
        if len(curves) > 1:
            at = WIDTH - RIGHT - 150 * (len(curves) - number) + 40
            out.append(f'<text x="{at}" y="20" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def smooth(values: Sequence[float]) -> list[float]:
    """The mean of each value and of those about it: 5 % of all, fewer at the ends."""
    half = max(1, len(values) // 40)
    out = []
    for at in range(len(values)):
        reach = min(half, at, len(values) - 1 - at)
        part = values[at - reach : at + reach + 1]
        out.append(sum(part) / len(part))
    return out


def _line(points: Sequence[tuple[float, float]], colour: str, width: int, more: str) -> str:
    drawn = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return (
        f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'
    )


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover low to high."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next((m for m in (1, 2, 5) if span / (step * m) <= count + 1), 10)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]
