"""Reproduces the tables of docs/statistics.md: false claims and power in simulated projects.

    python benchmarks/verdict_simulation.py [--projects 1000] [--items 150 300]

Takes about two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from residency.diagnose.simulate_projects import simulate_fall, simulate_null
from residency.stats.paired_outcomes import rate_bounds


def null_table(projects: int, seed: int, sizes: list[int]) -> list[dict[str, float]]:
    """Projects in which nothing changed: how many claim something."""
    rows = []
    for items in sizes:
        rng = np.random.default_rng(seed)
        runs = [simulate_null(rng, items=items, rounds=4) for _ in range(projects)]
        ours, naive = (sum(getattr(run, name) > 0 for run in runs) for name in ("claims", "naive"))
        rows.append(
            {
                "items": items,
                "issues": float(np.mean([run.issues for run in runs])),
                "ours": ours / projects,
                "ours_high": rate_bounds(ours, projects)[1],
                "naive": naive / projects,
            }
        )
    return rows


def power_table(projects: int, seed: int, sizes: list[int]) -> list[dict[str, float]]:
    """One issue truly falls by the stated minimum detectable effect: how often it is found."""
    rows = []
    for items in sizes:
        for number in (1, 2, 4):
            rng = np.random.default_rng(seed)
            falls = [simulate_fall(rng, items=items, round=number) for _ in range(projects)]
            real = [fall for fall in falls if fall is not None]
            shown = [fall for fall in real if not math.isinf(fall.stated)]
            rows.append(
                {
                    "items": items,
                    "round": number,
                    "showable": len(shown) / len(real),
                    "median_mde": float(np.median([fall.stated for fall in shown])),
                    "median_base": float(np.median([fall.base_rate for fall in shown])),
                    "found": float(np.mean([fall.found for fall in shown])),
                }
            )
    return rows


def main() -> None:
    """Print both tables as Markdown, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--items", type=int, nargs="+", default=[150, 300])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    null = null_table(options.projects, options.seed, options.items)
    power = power_table(options.projects, options.seed, options.items)
    print("| dev items | issues a project | projects with a false claim | naive test |")
    print("|---|---|---|---|")
    for row in null:
        print(
            f"| {row['items']:.0f} | {row['issues']:.1f} "
            f"| {row['ours']:.1%} (at most {row['ours_high']:.1%}) | {row['naive']:.1%} |"
        )
    print()
    print("| dev items | round | issues with a finite MDE | median MDE | found |")
    print("|---|---|---|---|---|")
    for row in power:
        print(
            f"| {row['items']:.0f} | {row['round']:.0f} | {row['showable']:.0%} "
            f"| {row['median_mde']:.0%} of a rate of {row['median_base']:.0%} "
            f"| {row['found']:.1%} |"
        )
    if options.json:
        options.json.write_text(json.dumps({"null": null, "power": power}, indent=1))


if __name__ == "__main__":
    main()
