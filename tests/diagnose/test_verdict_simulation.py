"""Simulated projects whose truth is known: nothing is claimed that is not so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from residency.diagnose.simulate_projects import simulate_fall, simulate_run
from residency.diagnose.simulated_project import World

PLAIN = World(items=180)
ROUGH = World(items=180, paraphrases=3, training=0.5, missing=0.15, detector_errors=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("world", [PLAIN, ROUGH, World(items=300, paraphrases=4)])
def test_false_claims_in_at_most_five_percent_of_projects(world: World) -> None:
    """40 candidate slices, the worst become issues, noise flips, two rounds, the sealed test."""
    rng = np.random.default_rng(2026)
    projects = [simulate_run(rng, world=world, rounds=2) for _ in range(300)]
    assert np.mean([project.issues for project in projects]) > 3  # there was something to judge
    # 300 projects at 5 %: more than 21 false ones come up by chance in one of sixty tries.
    assert sum(project.false > 0 for project in projects) <= 21
    assert np.mean([project.naive > 0 for project in projects]) > 0.25


def test_claims_stay_true_when_everything_is_rough_and_something_really_falls() -> None:
    rng = np.random.default_rng(3)
    projects = [simulate_run(rng, world=ROUGH, rounds=2, drift=1.0) for _ in range(40)]
    assert sum(project.claims for project in projects) > 40
    assert sum(project.false > 0 for project in projects) <= 5


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    projects = [
        simulate_run(rng, world=world, rounds=1, drift=0.5)
        for world in (World(items=120), World(items=200, paraphrases=3, training=0.5))
        for _ in range(40)
    ]
    intervals = sum(project.intervals for project in projects)
    assert intervals > 300
    assert 0.92 <= sum(project.covered for project in projects) / intervals <= 0.985


@pytest.mark.parametrize(
    ("world", "round"), [(World(items=300), 1), (World(items=300), 2), (World(240, 4), 1)]
)
def test_a_true_fall_of_the_stated_size_is_found(world: World, round: int) -> None:
    rng = np.random.default_rng(7)
    tries = 90 if world.paraphrases == 1 else 60
    falls = [simulate_fall(rng, world=world, round=round) for _ in range(tries)]
    showable = [fall for fall in falls if fall is not None and not math.isinf(fall.stated)]
    assert len(showable) > 30
    assert np.mean([fall.is_shown for fall in showable]) >= 0.76
