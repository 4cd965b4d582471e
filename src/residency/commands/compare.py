"""``residency compare``: two models on the same stored items."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from residency.evaluate.suites.primary_score import compare_primary
from residency.loop.assess import assess_stored_answers
from residency.loop.item_outcomes import compare_kinds, find_kind_outcomes, map_groups
from residency.nouns.example import Split
from residency.nouns.model import Model
from residency.nouns.short_view import ShortView, draw_table
from residency.project.named_models import find_model, label_model
from residency.project.workspace import Workspace
from residency.results.kinds import kind_words
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.results.primary_change import describe_primary
from residency.results.units_sentence import tell_units


@dataclass(frozen=True, repr=False)
class Compared(ShortView):
    """Two models, kind by kind, and the items on which they differ.

    ``fixed`` and ``broken`` map a kind to example ids. ``primary`` is the metric that models are
    compared by: its title and its paired change (``compare_primary``); None where no item was judged
    in both. ``units`` says what rates and changes count, where items are grouped.
    """

    before: Model
    after: Model
    split: str
    kinds: dict[str, dict[str, Any]]
    fixed: dict[str, list[str]]
    broken: dict[str, list[str]]
    scores: tuple[dict[str, Any], dict[str, Any]]
    primary: dict[str, Any] | None = None
    units: str = ""

    def describe(self) -> str:
        """The change in the metric that models are compared by, and what the figures count."""
        line = describe_primary(self.primary)
        return f"{line.rstrip('.')}. {self.units}".strip()

    def _repr_html_(self) -> str:
        """What a notebook shows: the change, and each kind with its rates, as the command prints them."""
        rows = [
            {
                "failures": kind_words(kind),
                "before": format_percent(figures["before_rate"]),
                "after": format_percent(figures["after_rate"]),
                "fall, points": format_points(figures["delta"]),
                "95 % interval": format_interval(figures["low"], figures["high"], signed=True),
                **{name: figures[name] for name in ("fixed", "broken", "n", "unscored")},
            }
            for kind, figures in self.kinds.items()
        ]
        title = f"{label_model(self.before)} → {label_model(self.after)}, {self.split}"
        return (
            f"<div><b>{escape(title)}</b><p>{escape(self.describe())}</p>{draw_table(rows)}</div>"
        )


def compare(ws: Workspace, before: str, after: str, split: Split) -> Compared:
    """Two models on the same stored items: paired figures for each kind, and which items changed."""
    sides = [assess_stored_answers(ws, find_model(ws, name), split) for name in (before, after)]
    kinds = compare_kinds(*sides)
    fixed, broken = {}, {}
    for kind in kinds:
        then, now = (find_kind_outcomes(kind, side) for side in sides)
        fixed[kind] = [k for k in now if then.get(k) and now[k] is False]
        broken[kind] = [k for k in now if then.get(k) is False and now[k]]
    scores = (sides[0].scores.to_dict(), sides[1].scores.to_dict())
    groups = map_groups(sides[1].examples)
    change = compare_primary(sides[0].scores.primary, sides[1].scores.primary, groups)
    return Compared(
        before=sides[0].model,
        after=sides[1].model,
        split=split,
        kinds=kinds,
        fixed=fixed,
        broken=broken,
        scores=scores,
        primary={"title": ws.primary_metric.title, **change} if change else None,
        units=tell_units(groups.values(), split),
    )
