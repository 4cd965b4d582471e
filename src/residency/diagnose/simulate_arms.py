"""Simulated trainings of two arms whose truth is known, and projects that are run again and again.

The product's ``ask_arms`` and ``simulate_run`` judge; only the outcomes are made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.arm_questions import ask_arms
from residency.diagnose.error_budget import run_alpha
from residency.diagnose.simulate_projects import simulate_run
from residency.diagnose.simulated_project import World


@dataclass(frozen=True)
class ArmWorld:
    """What trainings of two arms do.

    Attributes:
        trainings: of each arm. items: sealed items of an issue; issues: how many were aimed at.
        seed, draw: standard deviation, in log odds and by issue, of what a seed does and of what a
            draw of rows does. Trainings with targeted rows share one draw.
        gain: log odds by which targeted rows lower every issue beyond an average random draw.
        chosen: whether the targeted rows are an average draw but for ``gain`` (otherwise they are
            one random draw like any other).
    """

    trainings: int = 4
    items: int = 40
    issues: int = 4
    seed: float = 0.2
    draw: float = 0.5
    gain: float = 0.0
    chosen: bool = False


@dataclass(frozen=True)
class SimulatedArms:
    """What was said of one made-up pair of arms.

    ``models``: that these two models differ, by items alone (p ≤ 0.05). ``rows``: that these rows
    do more or less than random rows on average. ``choice``: that choosing them did it. ``mean``:
    points by which the targeted rows truly do better, over trainings of these rows; ``covered``:
    whether the interval over trainings holds it.
    """

    models: bool
    rows: bool
    choice: bool
    mean: float
    covered: bool


def simulate_arms(rng: np.random.Generator, world: ArmWorld = ArmWorld()) -> SimulatedArms:
    """One pair of arms, judged by the product."""
    shape = (world.issues, world.items)
    base = rng.normal(-0.5, 0.7, (world.issues, 1)) + rng.normal(0, 1.2, shape)

    def answer(effects: np.ndarray) -> tuple[dict[tuple[str, str], bool | None], np.ndarray]:
        chance = 1 / (1 + np.exp(-(base + effects[:, None])))
        failed = rng.random(shape) < chance
        checks: dict[tuple[str, str], bool | None] = {
            (f"issue {i}", f"item {i} {j}"): bool(failed[i, j])
            for i in range(world.issues)
            for j in range(world.items)
        }
        return checks, chance

    def luck(spread: float) -> np.ndarray:
        return np.asarray(rng.normal(0, spread, world.issues))

    targeted_effects = -world.gain + (np.zeros(world.issues) if world.chosen else luck(world.draw))
    control = [answer(luck(world.draw) + luck(world.seed))[0] for _ in range(world.trainings)]
    targeted = [answer(targeted_effects + luck(world.seed))[0] for _ in range(world.trainings)]
    answers = ask_arms(control, targeted, groups={})
    truth = _true_mean(rng, base, world, None) - _true_mean(rng, base, world, targeted_effects)
    return SimulatedArms(
        models=answers.p_value <= 0.05,
        rows=answers.data.rows_differ,
        choice=answers.data.choice_differs,
        mean=truth,
        covered=answers.data.low <= truth <= answers.data.high,
    )


def _true_mean(
    rng: np.random.Generator, base: np.ndarray, world: ArmWorld, row_effects: np.ndarray | None
) -> float:
    """Mean failure rate over many trainings: of given rows, or of random draws."""
    total = 0.0
    for _ in range(20):
        effects = rng.normal(0, world.draw, world.issues) if row_effects is None else row_effects
        effects = effects + rng.normal(0, world.seed, world.issues)
        total += float(np.mean(1 / (1 + np.exp(-(base + effects[:, None])))))
    return total / 20


def simulate_reruns(
    rng: np.random.Generator,
    *,
    runs: int,
    world: World = World(items=120),  # noqa: B008 - frozen
) -> tuple[bool, bool]:
    """A project in which nothing changes, run again with other settings: was anything claimed?

    Returns:
        With the ledger (each run takes its share), and without (each run takes the whole of α).
    """
    claimed = [False, False]
    for number in range(1, runs + 1):
        seed = int(rng.integers(2**31))
        for column, alpha in enumerate((run_alpha(0.05, number), 0.05)):
            run = simulate_run(
                np.random.default_rng(seed), world=world, config=DiagnoseConfig(alpha=alpha)
            )
            claimed[column] |= run.false > 0
    return claimed[0], claimed[1]
