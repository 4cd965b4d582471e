"""The paired change of the primary metric: of two models as their run judged them, and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from residency.evaluate.suites.primary_score import PrimaryScore, compare_primary
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.results.run_results import RunResults
from residency.text.counts import write_count


def compare_stored_primary(results: RunResults, before: str, after: str) -> dict[str, Any] | None:
    """The paired change with its title, as ``commands.compare`` tells it of the same judgements.

    None where the run did not judge both models by one metric, item by item.
    """
    scores = {
        round_.model: figures["scores"].get("primary")
        for round_, figures in results.store.rounds(results.run)
    }
    order = results.answers.positions("dev")  # sums are those of the command to the last digit
    sides = [_read_score(scores.get(model), order) for model in (before, after)]
    groups = results.store.corpus_groups(results.run, "dev")
    change = compare_primary(sides[0], sides[1], groups)
    return {"title": sides[1].title, **change} if change and sides[1] else None


def _read_score(body: Mapping[str, Any] | None, order: Iterable[str]) -> PrimaryScore | None:
    if not body or not body.get("by_example"):
        return None
    names = [field.name for field in dataclasses.fields(PrimaryScore)]
    values = body["by_example"]
    ordered = {item: values[item] for item in order if item in values}
    return PrimaryScore(
        **{**{name: body[name] for name in names if name in body}, "by_example": ordered}
    )


def describe_primary(change: dict[str, Any] | None) -> str:
    """The metric that models are compared by, on the items judged in both."""
    if change is None:
        return "No item was judged in both by the primary metric."
    interval = format_interval(change["low"], change["high"], signed=True)
    line = (
        f"{change['title']}, of {change['n']} items judged in both: "
        f"{format_percent(change['before'])} → {format_percent(change['after'])}, "
        f"{format_points(change['delta'])} points, 95 % interval {interval}"
    )
    if change["one_sided"]:
        line += (
            f"; {write_count(change['one_sided'], 'item was', 'items were')} judged on one side alone: with them the difference "
            f"lies between {format_points(change['worst'])} and {format_points(change['best'])}"
        )
    return line
