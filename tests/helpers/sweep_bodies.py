"""A sweep's plan and its stored result, made up, for pages and reports."""

from __future__ import annotations

from typing import Any

from residency.sweep.cell import Cell, Variant
from residency.sweep.plan import PlannedCell, SweepPlan


def make_sweep_plan(name: str) -> SweepPlan:
    """Three sizes with two seeds, of which the last is left out."""
    cells = [
        PlannedCell(Cell(Variant(name), rows, rows / 16, seed), 10.0 * rows)
        for rows in (4, 8, 16)
        for seed in (0, 1)
    ]
    return SweepPlan(tuple(cells[:-1]), (cells[-1],), {}, 5.0, 1, 7.0)


def make_sweep_result(run: str, name: str) -> dict[str, Any]:
    """A sweep's stored result; ``name`` stands in every name and sentence of it."""
    figure = {"mean": 0.5, "low": 0.4, "high": 0.6}
    points = [{"rows": n, "rate": 0.5, "low": 0.3, "high": 0.7} for n in (4, 8, 16, 64)]
    curve = {
        "measured": [{**p, "trainings": 2} for p in points[:3]],
        "curve": points,
        "families": {"flat": 1.0},
        "variant": name,
        "doubled": {"rows": 32, "rate": 0.4, "low": 0.2, "high": 0.6, "sure": False},
        "needed": "",
    }
    issue = {
        "issue": "is-1",
        "title": name,
        "tolerance": 0.1,
        "words": [f"*{name}* stays."],
        "needed": "not within 64",
    }
    size = {
        **{"name": f"{name}, zero-shot", "rows": 0, "trainings": 0, "score": figure, "cost": None},
        **{"minutes": None, "predicted_minutes": None, "memory": None, "predicted_memory": None},
        **{"tokens_per_second": None, "answer_seconds": 0.5, "on_front": False, "issues": {}},
    }
    tuned = {
        **size,
        **{"name": name, "rows": 16, "trainings": 2, "on_front": True, "answer_seconds": 0.25},
        **{"minutes": 1.5, "memory": 2**30, "issues": {"is-1": figure}},
    }
    return {
        "run": run,
        "metric": name,
        "plan": make_sweep_plan(name).to_dict(),
        "curves": [
            {**curve, "issue": "", "title": name, "tolerance": None, "words": ["It rises."]},
            {**curve, **issue},
        ],
        "sizes": [size, tuned],
        "best": name,
        "advice": [f"Take {name} on 16 rows: 50.0 % [40.0, 60.0].", "This rests on 2 trainings."],
        "notes": [f"{name} was left out"],
        "seconds": 3.0,
        "measuring_items": 6,
        "issue_titles": {"is-1": name},
    }
