"""Reproduces the tables of docs/statistics.md: false claims, coverage and power in made-up projects.

    python benchmarks/verdict_simulation.py [--projects 400] [--items 60 120 180 300] [--json FILE]

About ten minutes on one core with 400 projects.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from residency.diagnose.simulate_projects import simulate_fall, simulate_run
from residency.diagnose.simulated_project import World
from residency.stats.intervals import clopper_pearson

KINDS_OF_WORLD = {
    "only luck": {},
    "groups of 4": {"paraphrases": 4},
    "trainings differ": {"training": 0.5},
    "answers missing": {"missing": 0.15},
    "all of it, unequal detectors": {
        "paraphrases": 3,
        "training": 0.5,
        "missing": 0.15,
        "detector_errors": 0.15,
    },
}
ROUNDS = 3


def count_false_claims(projects: int, seed: int, sizes: list[int]) -> list[dict[str, object]]:
    """Projects with a claim that is not true of the models compared, and coverage of Δ."""
    rows: list[dict[str, object]] = []
    for name, settings in KINDS_OF_WORLD.items():
        for items in sizes:
            for drift in (0.0, 0.8):
                rng = np.random.default_rng(seed)
                world = World(items=items, **settings)
                runs = [
                    simulate_run(rng, world=world, rounds=ROUNDS, drift=drift)
                    for _ in range(projects)
                ]
                false = sum(run.false > 0 for run in runs)
                intervals = sum(run.intervals for run in runs)
                rows.append(
                    {
                        "world": name,
                        "items": items,
                        "falls": drift > 0,
                        "issues": float(np.mean([run.issues for run in runs])),
                        "claims": float(np.mean([run.claims for run in runs])),
                        "false": false / projects,
                        "false_high": clopper_pearson(false, projects)[1],
                        "naive": float(np.mean([run.naive > 0 for run in runs])),
                        "coverage": sum(run.covered for run in runs) / intervals
                        if intervals
                        else None,
                    }
                )
    return rows


def measure_power(projects: int, seed: int, sizes: list[int]) -> list[dict[str, object]]:
    """One issue truly falls by the stated minimum detectable effect: how often it is found."""
    rows: list[dict[str, object]] = []
    for paraphrases in (1, 4):
        for items in sizes:
            rng = np.random.default_rng(seed)
            world = World(items=items, paraphrases=paraphrases)
            drawn = [
                simulate_fall(rng, world=world, round=1, rounds=ROUNDS) for _ in range(projects)
            ]
            falls = [fall for fall in drawn if fall is not None]
            shown = [fall for fall in falls if not math.isinf(fall.stated)]
            rows.append(
                {
                    "items": items,
                    "paraphrases": paraphrases,
                    "showable": len(shown) / max(1, len(falls)),
                    "median_mde": float(np.median([f.stated for f in shown])) if shown else None,
                    "median_base": float(np.median([f.base_rate for f in shown]))
                    if shown
                    else None,
                    "found": float(np.mean([f.found for f in shown])) if shown else None,
                }
            )
    return rows


def main() -> None:
    """Print both tables as Markdown, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=400)
    parser.add_argument("--items", type=int, nargs="+", default=[60, 120, 180, 300])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print("| world | dev items | truly falls | issues | claims | false | naive | coverage |")
    print("|---|---|---|---|---|---|---|---|")
    claims = count_false_claims(options.projects, options.seed, options.items)
    for row in claims:
        coverage = "–" if row["coverage"] is None else f"{row['coverage']:.1%}"
        print(
            f"| {row['world']} | {row['items']} | {'yes' if row['falls'] else 'no'} "
            f"| {row['issues']:.1f} | {row['claims']:.1f} "
            f"| {row['false']:.1%} (at most {row['false_high']:.1%}) | {row['naive']:.0%} "
            f"| {coverage} |"
        )
    print()
    print("| dev items | items a group | issues with a finite effect | median effect | found |")
    print("|---|---|---|---|---|")
    power = measure_power(options.projects, options.seed, options.items)
    for row in power:
        effect = (
            "–"
            if row["median_mde"] is None
            else f"{row['median_mde']:.0%} of a rate of {row['median_base']:.0%}"
        )
        found = "–" if row["found"] is None else f"{row['found']:.1%}"
        print(
            f"| {row['items']} | {row['paraphrases']} | {row['showable']:.0%} | {effect} "
            f"| {found} |"
        )
    if options.json:
        options.json.write_text(json.dumps({"claims": claims, "power": power}, indent=1))


if __name__ == "__main__":
    main()
