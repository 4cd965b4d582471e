"""Charts that a notebook shows with what commands return: the score by round, a sweep's curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from residency.nouns.short_view import add_drawing

if TYPE_CHECKING:
    from residency.results.run_summary import RunSummary
    from residency.sweep.sweep_result import SweepResult

MOST_CURVES = 6
"""Curves of a sweep; its page and the report show more."""
_COLOURS = (
    "--paper:#fff;--card:#fff;--ink:#1b1d21;--soft:#5d636d;--line:#dfe2e6;--accent:#1f5fa1;"
    "--control:#a3560f;--good:#1b7a4a;--bad:#b3282d;--muted:#80868f"
)


def draw_scores(summary: RunSummary) -> str:
    """The score by round, with its intervals."""
    from residency.nouns.model import Model
    from residency.report.score_charts import draw_score_chart
    from residency.results.model_results import ModelResult

    models = [
        ModelResult(row.round, row.label, row.scores, Model("base"), None) for row in summary.rounds
    ]
    return _frame([draw_score_chart(models)] if models else [])


def draw_sweep_charts(result: SweepResult) -> str:
    """The first learning curves, and size against quality."""
    from residency.report.sweep_charts import draw_sweep

    section = draw_sweep(result.to_dict())
    return _frame([*section.charts[:MOST_CURVES], section.sizes])


def show_charts() -> None:
    """Let what ``run``, ``status`` and ``sweep`` give be drawn with their charts."""
    add_drawing("residency.results.run_summary.RunSummary", draw_scores)
    add_drawing("residency.sweep.sweep_result.SweepResult", draw_sweep_charts)


def _frame(charts: list[Markup]) -> str:
    """Charts on white with the colours of the pages, which a notebook does not have."""
    drawn = Markup("").join(
        Markup('<div style="flex:1 1 240px;max-width:520px">{}</div>').format(chart)
        for chart in charts
        if chart
    )
    if not drawn:
        return ""
    style = f"display:flex;flex-wrap:wrap;gap:12px;background:#fff;padding:8px;{_COLOURS}"
    return str(Markup('<div style="{}">{}</div>').format(style, drawn))
