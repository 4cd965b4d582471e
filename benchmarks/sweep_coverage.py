"""How often a learning curve's 95 % interval holds what it predicts.

    python benchmarks/sweep_coverage.py --curves 200          # simulated curves of six laws
    python benchmarks/sweep_coverage.py --project demo        # a finished sweep: its larger sizes held out
    python benchmarks/sweep_coverage.py --project DIR --task topics --data REALDATA --rows 1600

Simulated: items differ in difficulty, trainings in luck; the curve is fitted on the small sizes
and asked for the true rate at one, two and four times the largest of them. A project's sweep is
fitted again on its three smallest sizes and more, and asked for what was measured at the next
ones: the mean over their trainings, whose own noise is in it, so that somewhat less than 95 % is
to be expected. With ``--task`` (those of ``targeting_bar.py``) the project is made and swept first:
6, 12, 25, 50 and 100 % of the rows, three trainings each.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from residency.sweep.learning_curve import FEWEST_SIZES, REACH, CellOutcomes, fit_curve

SIZES = (31, 65, 130, 260)
SEEDS = (3, 3, 2, 1)
ITEMS = 110
TIMES = (1, 2, 4)
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
SEEDS_OF_A_TASK = 3
Truth = Callable[[float], float]


def main() -> None:
    """Simulate, or hold out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=int, default=100, help="simulated curves of each law")
    parser.add_argument("--seed", type=int, default=0, help="of the curves, or of the task's rows")
    parser.add_argument("--project", type=Path, help="folder of a project that was swept")
    parser.add_argument("--task", default="", help="make and sweep the project first")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, default=1600, help="train rows of the task")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.task:
        sweep_task(
            arguments.project,
            arguments.task,
            arguments.data,
            arguments.rows,
            arguments.jobs,
            arguments.seed,
        )
    if arguments.project:
        hold_out(arguments.project)
    else:
        simulate_all(arguments.curves, arguments.seed)


def simulate_all(count: int, seed: int) -> None:
    """Coverage, mean width and mean error for each law and distance."""
    print("law, times the rows: share of intervals that hold the truth, mean width, mean error")
    for law in ("power", "exponential", "logarithmic", "late", "two skills", "flat"):
        rng = np.random.default_rng([seed, len(law), ord(law[0])])
        found: dict[int, list[tuple[bool, float, float]]] = {times: [] for times in TIMES}
        for number in range(count):
            truth = draw_truth(law, rng)
            curve = fit_curve(simulate(truth, rng), range(ITEMS), seed=number, resamples=300)
            assert curve is not None
            for times in TIMES:
                at, true = curve.at(SIZES[-1] * times), truth(times)
                found[times].append((at.low <= true <= at.high, at.high - at.low, at.rate - true))
        for times in TIMES:
            covered, width, error = np.mean(found[times], axis=0)
            print(f"{law:12} ×{times}: {100 * covered:.1f} %, {width:.3f}, {error:+.3f}")


def draw_truth(law: str, rng: np.random.Generator) -> Truth:
    """A true curve: error rate by rows over the largest size."""
    end, fall, speed = rng.uniform(0, 0.3), rng.uniform(0.1, 0.6), rng.uniform(0.2, 1.0)
    middle, slope = rng.uniform(0.1, 2.0), rng.uniform(0.7, 3.0)
    laws: dict[str, Truth] = {
        "power": lambda u: end + fall * (u / 0.12) ** -speed,
        "exponential": lambda u: end + fall * math.exp(-u / (2 * speed)),
        "logarithmic": lambda u: 0.4 + end - 0.2 * speed * math.log(u),
        "late": lambda u: end / 2 + (1 - end / 2) / (1 + (u / middle) ** slope),
        "two skills": lambda u: (
            0.5 / (1 + (u / middle) ** slope) + 0.5 / (1 + (u / middle / 4) ** slope)
        ),
        "flat": lambda u: 0.02 + 3 * end,
    }
    return lambda u: min(1.0, max(0.0, laws[law](u)))


def simulate(truth: Truth, rng: np.random.Generator) -> list[CellOutcomes]:
    """Trainings on growing rows: items in common, 60 % of an outcome's variance theirs."""
    hard = rng.normal(size=ITEMS)
    cells = []
    for rows, count in zip(SIZES, SEEDS, strict=True):
        for _ in range(count):
            rate = truth(rows / SIZES[-1])
            rate += rng.normal() * 0.06 * math.sqrt(rate * (1 - rate))
            rate = min(0.999, max(0.001, rate))
            noise = math.sqrt(0.6) * hard + math.sqrt(0.4) * rng.normal(size=ITEMS)
            cells.append(CellOutcomes(rows, (noise < stats.norm.ppf(rate)).astype(float)))
    return cells


def sweep_task(folder: Path, task: str, data: Path | None, rows: int, jobs: int, seed: int) -> None:
    """A project of ``targeting_bar.py`` with so many train rows, swept; goes on where it stopped."""
    from residency import Project
    from residency.sweep.sweep_options import SweepOptions
    from targeting_bar import prepare_project, tell

    prepare_project(folder, task, data, seed, {"train": rows, "pool": 0, "test": 20})
    settings = folder / "residency.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('pool = ["data/pool.jsonl"]\n', ""), encoding="utf-8")
    options = SweepOptions(shares=SHARES, seeds=SEEDS_OF_A_TASK, minutes=0, jobs=jobs)
    Project.open(folder, progress=tell).sweep(options)


def hold_out(folder: Path) -> None:
    """Fit a finished sweep's smaller sizes; predict what was measured at the next ones, up to four times."""
    from residency import Project
    from residency.jobs.job_store import FolderJobStore
    from residency.loop.item_outcomes import map_groups
    from residency.nouns.model import Model
    from residency.store.record_kind import RecordKind
    from residency.sweep.cell import Cell, Variant
    from residency.sweep.measured_cells import MeasuredCells, fail_items, score_items

    project = Project.open(folder)
    run = project.store.latest_run() or ""
    body = project.store.records(RecordKind.SWEEP, run)[-1]
    store = FolderJobStore(project.store.folder / "sweep")
    cells = MeasuredCells(project, store)
    with project.store.writer("sweep"):
        for path in sorted((store.folder / "results").glob("*.json")):
            result = store.find_result(path.stem)
            if result is not None and "training" in result.value:
                base = Model(**result.value["model"]).base
                cell = Cell(Variant(base), result.value["rows"], 0.0, 0)
                cells.add(base, cell, result)
    _, half = cells.halves
    groups = map_groups(project.split("dev"))
    issues = [i for i in cells.find_known_issues(run) if i.id in body["issue_titles"]]
    held: dict[int, list[bool]] = {}
    for base in dict.fromkeys(m.name for m in cells.all):
        mine = [m for m in cells.all if m.name == base]
        metrics: dict[str, Callable[[Any], dict[str, float | None]]] = {
            body["metric"]: lambda m: {k: None if v is None else 1 - v for k, v in score_items(m, half).items()},
            **{body["issue_titles"][issue.id]: (lambda m, i=issue: fail_items(i, m, half)) for issue in issues},
        }  # fmt: skip
        seen: list[Any] = []
        for title, read in metrics.items():
            values = [(m.rows, read(m)) for m in mine]
            if values in seen:  # an issue of all items is the metric again
                continue
            seen.append(values)
            for known, rows, real, at in predict_sizes(values, groups):
                holds = at.low <= real <= at.high
                held.setdefault(round(rows / known), []).append(holds)
                mark = "holds" if holds else "misses"
                print(f"{title}: from {known} rows, at {rows}: {100 * real:.1f} %, predicted {100 * at.rate:.1f} % [{100 * at.low:.1f} %, {100 * at.high:.1f} %] {mark}")  # fmt: skip
    for times, cases in sorted(held.items()):
        print(f"×{times}: {sum(cases)} of {len(cases)} intervals hold what was measured")


def predict_sizes(
    cells: list[tuple[int, dict[str, float | None]]], groups: dict[str, str]
) -> list[tuple[int, int, float, Any]]:
    """Each fit of the smaller sizes: its largest, a held-out size, the rate measured there, the prediction."""
    items = sorted({item for _, values in cells for item in values})
    sizes = sorted({rows for rows, _ in cells})
    numbers: dict[str, int] = {}
    index = [numbers.setdefault(groups.get(item, item), len(numbers)) for item in items]
    outcomes = [
        CellOutcomes(
            rows, np.array([math.nan if (v := values.get(i)) is None else v for i in items])
        )
        for rows, values in cells
    ]
    found = []
    for count in range(FEWEST_SIZES, len(sizes)):
        known = sizes[count - 1]
        curve = fit_curve([c for c in outcomes if c.rows <= known], index) if items else None
        for rows in sizes[count:]:
            real = [float(np.nanmean(c.errors)) for c in outcomes if c.rows == rows]
            # Sizes are rounded: 4.01 times counts as four times.
            if curve is not None and rows <= 1.02 * REACH * known and np.isfinite(real).all():
                at = curve.at(min(rows, REACH * known))
                found.append((known, rows, float(np.mean(real)), at))
    return found


if __name__ == "__main__":
    main()
