"""Reproduces the tables of docs/statistics.md: false claims, coverage and power in made-up projects.

    python benchmarks/verdict_simulation.py [--projects 400] [--items 60 120 180 300] [--json FILE]
        [--tables claims power arms reruns]

About twenty minutes on one core with 400 projects.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from residency.diagnose.simulate_arms import ArmWorld, simulate_arms, simulate_reruns
from residency.diagnose.simulate_projects import simulate_fall, simulate_run
from residency.diagnose.simulated_project import World
from residency.stats.intervals import clopper_pearson

KINDS_OF_WORLD: dict[str, dict[str, Any]] = {
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
ARM_WORLDS = {
    "seeds differ, draws do not": ArmWorld(seed=0.5, draw=0.0),
    "draws differ, targeted is one of them": ArmWorld(seed=0.2, draw=0.7),
    "draws differ, targeted is their mean": ArmWorld(seed=0.2, draw=0.7, chosen=True),
    "targeted better by 0.8": ArmWorld(seed=0.2, draw=0.3, gain=0.8, chosen=True),
    "targeted better by 1.6": ArmWorld(seed=0.2, draw=0.3, gain=1.6, chosen=True),
}


def count_false_claims(projects: int, seed: int, sizes: list[int]) -> list[dict[str, Any]]:
    """Projects with a claim that is not true of the models compared, and coverage of Δ."""
    rows: list[dict[str, Any]] = []
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
                        "intervals": intervals,
                    }
                )
                print(f"{name}, {items} items: done", file=sys.stderr, flush=True)
    return rows


def pool_worlds(claims: list[dict[str, Any]], projects: int) -> list[dict[str, Any]]:
    """The same over all worlds, by the number of dev items."""
    rows = []
    for items in sorted({row["items"] for row in claims}):
        own = [row for row in claims if row["items"] == items]
        false = round(sum(row["false"] * projects for row in own))
        told = sum(row["intervals"] for row in own)
        rows.append(
            {
                "items": items,
                "projects": len(own) * projects,
                "false": false / (len(own) * projects),
                "false_high": clopper_pearson(false, len(own) * projects)[1],
                "worst": max(row["false"] for row in own),
                "coverage": sum((row["coverage"] or 0) * row["intervals"] for row in own) / told,
                "intervals": told,
            }
        )
    return rows


def measure_power(projects: int, seed: int, sizes: list[int]) -> list[dict[str, Any]]:
    """One issue truly falls by the stated minimum detectable effect: how often it is found."""
    rows: list[dict[str, Any]] = []
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
                    "found": float(np.mean([f.is_shown for f in shown])) if shown else None,
                }
            )
    return rows


def ask_of_arms(projects: int, seed: int) -> list[dict[str, Any]]:
    """How often two models, these rows, and the choice of rows are said to differ."""
    rows: list[dict[str, Any]] = []
    for name, world in ARM_WORLDS.items():
        for trainings in (1, 4, 8):
            rng = np.random.default_rng(seed)
            drawn = [
                simulate_arms(rng, dataclasses.replace(world, trainings=trainings))
                for _ in range(projects)
            ]
            rows.append(
                {
                    "world": name,
                    "trainings": trainings,
                    "true": float(np.mean([one.mean for one in drawn])),
                    "models": float(np.mean([one.models for one in drawn])),
                    "rows": float(np.mean([one.rows for one in drawn])),
                    "choice": float(np.mean([one.choice for one in drawn])),
                    "coverage": float(np.mean([one.covered for one in drawn]))
                    if trainings > 1
                    else None,
                }
            )
    return rows


def count_rerun_claims(projects: int, seed: int) -> list[dict[str, Any]]:
    """Projects in which nothing changes, run 1, 3 and 6 times: any false claim in any run."""
    rows: list[dict[str, Any]] = []
    for runs in (1, 3, 6):
        rng = np.random.default_rng(seed)
        claimed = [simulate_reruns(rng, runs=runs) for _ in range(projects)]
        ledger, fresh = (float(np.mean(side)) for side in zip(*claimed, strict=True))
        rows.append({"runs": runs, "ledger": ledger, "fresh": fresh})
    return rows


def print_claims(claims: list[dict[str, Any]]) -> None:
    """The table of false claims, as Markdown."""
    print("| world | dev items | truly falls | issues | claims | false | naive | coverage |")
    print("|---|---|---|---|---|---|---|---|")
    for row in claims:
        coverage = "–" if row["coverage"] is None else f"{100 * row['coverage']:.1f} %"
        print(
            f"| {row['world']} | {row['items']} | {'yes' if row['falls'] else 'no'} "
            f"| {row['issues']:.1f} | {row['claims']:.1f} "
            f"| {100 * row['false']:.1f} % (at most {100 * row['false_high']:.1f} %) | {100 * row['naive']:.0f} % "
            f"| {coverage} |"
        )


def print_pooled(pooled: list[dict[str, Any]]) -> None:
    """The table over all worlds, as Markdown."""
    print("\n| dev items | projects | any false claim | in the worst world | coverage of Δ |")
    print("|---|---|---|---|---|")
    for row in pooled:
        print(
            f"| {row['items']} | {row['projects']} | {100 * row['false']:.1f} % (at most "
            f"{100 * row['false_high']:.1f} %) | {100 * row['worst']:.1f} % | {100 * row['coverage']:.1f} % of "
            f"{row['intervals']} |"
        )


def print_power(power: list[dict[str, Any]]) -> None:
    """The table of power, as Markdown."""
    print("\n| dev items | items a group | issues with a finite effect | median effect | found |")
    print("|---|---|---|---|---|")
    for row in power:
        effect = (
            "–"
            if row["median_mde"] is None
            else f"{100 * row['median_mde']:.0f} % of a rate of {100 * row['median_base']:.0f} %"
        )
        found = "–" if row["found"] is None else f"{100 * row['found']:.1f} %"
        print(
            f"| {row['items']} | {row['paraphrases']} | {100 * row['showable']:.0f} % | {effect} "
            f"| {found} |"
        )


def print_arms(arms: list[dict[str, Any]]) -> None:
    """The table of arms, as Markdown."""
    print(
        "\n| world | trainings of each | truly | two models | these rows | the choice | coverage |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in arms:
        coverage = "–" if row["coverage"] is None else f"{100 * row['coverage']:.0f} %"
        print(
            f"| {row['world']} | {row['trainings']} | {100 * row['true']:+.1f} "
            f"| {100 * row['models']:.1f} % | {100 * row['rows']:.1f} % | {100 * row['choice']:.1f} % | {coverage} |"
        )


def print_reruns(reruns: list[dict[str, Any]]) -> None:
    """The table of runs after runs, as Markdown."""
    print("\n| runs | any false claim, with the ledger | each run with the whole of α |")
    print("|---|---|---|")
    for row in reruns:
        print(f"| {row['runs']} | {100 * row['ledger']:.1f} % | {100 * row['fresh']:.1f} % |")


def main() -> None:
    """Print the tables as Markdown, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=400)
    parser.add_argument("--items", type=int, nargs="+", default=[60, 120, 180, 300])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tables", nargs="+", default=["claims", "power", "arms", "reruns"])
    options = parser.parse_args()
    projects, seed, items = options.projects, options.seed, options.items
    made: dict[str, list[dict[str, Any]]] = {}
    if "claims" in options.tables:
        made["claims"] = count_false_claims(projects, seed, items)
        print_claims(made["claims"])
        made["pooled"] = pool_worlds(made["claims"], projects)
        print_pooled(made["pooled"])
    if "power" in options.tables:
        made["power"] = measure_power(projects, seed, items)
        print_power(made["power"])
    if "arms" in options.tables:
        made["arms"] = ask_of_arms(projects, seed)
        print_arms(made["arms"])
    if "reruns" in options.tables:
        made["reruns"] = count_rerun_claims(projects, seed)
        print_reruns(made["reruns"])
    if options.json:
        options.json.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
