"""Size against quality against cost: one row a way to answer, the Pareto front, and what to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from residency.results.number_formats import format_points
from residency.stats.intervals import mean_interval
from residency.text.counts import write_count
from residency.text.percent import write_percent

MARGIN = 0.03
"""Loss of quality that is given up for a cheaper model without regret."""


@dataclass(frozen=True)
class Figure:
    """A mean with its 95 % interval, over items and trainings; None where nothing was scored."""

    mean: float | None
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class SizeRow:
    """A base, bare or trained on some number of rows.

    Attributes:
        name: of the variant or way. rows: it was trained on; 0: the bare base.
        trainings: how many are averaged. score: the primary metric. issues: failure rate by id.
        minutes, memory: of one training, measured; predicted_*: by the estimate.
        tokens_per_second: of answering; None where a server counted no tokens. answer_seconds: an
            answer's share of the time (of an endpoint: its whole wait).
        cost: of 1000 requests; None without a price.
        by_item: each measuring item's mean score over the trainings.
    """

    name: str
    rows: int
    trainings: int
    score: Figure
    issues: Mapping[str, Figure]
    minutes: float | None
    predicted_minutes: float | None
    memory: int | None
    predicted_memory: int | None
    tokens_per_second: float | None
    answer_seconds: float
    cost: float | None
    by_item: Mapping[str, float] = field(default_factory=dict, repr=False)
    on_front: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the single items."""
        row = asdict(self)
        row.pop("by_item")
        return row


def average_items(outcomes: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Each item's mean over the trainings in which it was scored."""
    values: dict[str, list[float]] = {}
    for one in outcomes:
        for item, value in one.items():
            if value is not None:
                values.setdefault(item, []).append(value)
    return {item: sum(item_values) / len(item_values) for item, item_values in values.items()}


def measure_figure(
    outcomes: Sequence[Mapping[str, float | None]], groups: Mapping[str, str]
) -> Figure:
    """Mean over items and trainings. Its interval allows for both, as if they were independent."""
    by_item = average_items(outcomes)
    if not by_item:
        return Figure(None)
    mean = sum(by_item.values()) / len(by_item)
    low, high = mean_interval(list(by_item.values()), [groups.get(i, i) for i in by_item])
    low, high = max(low, 0.0), min(high, 1.0)
    means = [
        sum(known) / len(known)
        for one in outcomes
        if (known := [value for value in one.values() if value is not None])
    ]
    if len(means) > 1:
        seeds = 1.96**2 * float(np.var(means, ddof=1)) / len(means)
        low = max(0.0, mean - ((mean - low) ** 2 + seeds) ** 0.5)
        high = min(1.0, mean + ((high - mean) ** 2 + seeds) ** 0.5)
    return Figure(mean, low, high)


def mark_front(rows: Sequence[SizeRow]) -> list[SizeRow]:
    """The rows, those marked that no other beats in quality and time of an answer both.

    What scores nothing is not on the front, however fast: a spoilt training answers at once.
    """

    def is_beaten(row: SizeRow) -> bool:
        mine = row.score.mean or 0.0
        for other in rows:
            theirs = other.score.mean or 0.0
            as_good = theirs >= mine and other.answer_seconds <= row.answer_seconds
            if as_good and (theirs > mine or other.answer_seconds < row.answer_seconds):
                return True
        return False

    return [
        SizeRow(**{**_fields(row), "on_front": bool(row.score.mean) and not is_beaten(row)})
        for row in rows
    ]


def recommend_row(
    rows: Sequence[SizeRow], groups: Mapping[str, str], title: str
) -> tuple[str, list[str]]:
    """The name of the row to take, and sentences: which, why, and what that rests on."""
    scored = [row for row in rows if row.score.mean is not None]
    if not scored:
        return "", ["Nothing was scored: no row can be recommended."]
    best = max(scored, key=lambda row: row.score.mean or 0.0)
    if not best.score.mean:
        return "", [f"Nothing here scores above 0 ({title}): no row can be recommended."]
    cheaper = sorted(
        (row for row in scored if row is not best and row.answer_seconds < best.answer_seconds),
        key=lambda row: row.answer_seconds,
    )
    recommended, reason = best, ""
    for row in cheaper:
        mean, low, high, n = compare_rows(row, best, groups)
        if n and low > -MARGIN:
            recommended = row
            reason = (
                f"{describe_row(best)} scores highest, but by less than {100 * MARGIN:.0f} points "
                f"at most; the one taken has {format_points(mean)} points "
                f"[{format_points(low)}, {format_points(high)}] on {write_count(n, 'item')}, paired."
            )
            break
    ratio = best.answer_seconds / max(recommended.answer_seconds, 1e-9)
    sentences = [f"Take {describe_row(recommended)}: {title} {_format(recommended.score)}."]
    if reason:
        sentences.append(f"{reason} An answer takes {ratio:.1f} times less.")
    others = [row for row in scored if row is not recommended]
    if others and not reason:
        second = max(others, key=lambda row: row.score.mean or 0.0)
        mean, low, high, n = compare_rows(second, recommended, groups)
        distance = (
            "it is behind by more than chance"
            if high < 0
            else "it may be as good, chance explains the difference"
        )
        sentences.append(
            f"Next is {describe_row(second)}: {format_points(mean)} points [{format_points(low)}, "
            f"{format_points(high)}] on {write_count(n, 'item')}, paired; {distance}."
        )
    trainings = f"{recommended.trainings} training{'s' if recommended.trainings != 1 else ''}"
    base = (
        "no training"
        if not recommended.rows
        else f"{trainings} on {write_count(recommended.rows, 'row')}"
    )
    sentences.append(
        f"This rests on {base} and on {write_count(len(recommended.by_item), 'item')} of dev's measuring part; the best of "
        f"{write_count(len(scored), 'row')} looks a little better than it is. The sealed test was not opened."
    )
    return recommended.name, sentences


def compare_rows(
    row: SizeRow, other: SizeRow, groups: Mapping[str, str]
) -> tuple[float, float, float, int]:
    """Mean of row − other over shared items, its 95 % interval over groups, and the items."""
    shared = [item for item in row.by_item if item in other.by_item]
    if not shared:
        return 0.0, -1.0, 1.0, 0
    differences = [row.by_item[item] - other.by_item[item] for item in shared]
    low, high = mean_interval(differences, [groups.get(i, i) for i in shared], signed=True)
    return sum(differences) / len(differences), max(low, -1.0), min(high, 1.0), len(shared)


def describe_row(row: SizeRow) -> str:
    """A row in a sentence."""
    return f"{row.name} on {write_count(row.rows, 'row')}" if row.rows else row.name


def _format(figure: Figure) -> str:
    if figure.mean is None:
        return "not scored"
    return f"{write_percent(figure.mean)} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _fields(row: SizeRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SizeRow.__dataclass_fields__}
