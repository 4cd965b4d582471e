"""A benchmark's difference between two models in its own unit: points, or log-likelihood gained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from residency.results.number_formats import format_interval, format_points

POINTS = "points"
LOG_UNITS = {
    "bits_per_byte": "bits a byte",
    "byte_perplexity": "nats a byte",
    "word_perplexity": "nats a word",
    "perplexity": "nats an item",
}
"""Metrics whose difference is log-likelihood gained (more is better), each with its unit."""


def name_change_unit(metric: str) -> str:
    """``points``, or the unit of the log-likelihood that was gained."""
    return LOG_UNITS.get(metric, POINTS)


def write_change(row: Mapping[str, Any]) -> str:
    """The difference with its sign, without its unit."""
    return _write_gain(row["metric"], row["delta"])


def write_change_interval(row: Mapping[str, Any]) -> str:
    """Its interval: ``−4.9 to +1.4``."""
    metric, low, high = row["metric"], row["low"], row["high"]
    if metric in LOG_UNITS:
        return f"{_write_gain(metric, low)} to {_write_gain(metric, high)}"
    return format_interval(low, high, signed=True)


def tell_change(row: Mapping[str, Any]) -> str:
    """Difference, unit and interval: ``+1.5 points, −4.9 to +1.4``."""
    unit = name_change_unit(row["metric"])
    return f"{write_change(row)} {unit}, {write_change_interval(row)}"


def write_margin(margin: float, metrics: Iterable[str]) -> str:
    """The accepted loss in the units of these metrics: ``2 points``, ``2 points or 0.02 nats``."""
    units = {name_change_unit(metric).split()[0] for metric in metrics}
    told = [f"{100 * margin:g} points"] if POINTS in units or not units else []
    logs = sorted(units - {POINTS})
    if logs:
        told.append(f"{margin:g} {' or '.join(logs)}")
    return " or ".join(told)


def _write_gain(metric: str, value: float) -> str:
    if metric in LOG_UNITS:
        return f"{value:+.4f}".replace("-", "−")
    return format_points(value)
