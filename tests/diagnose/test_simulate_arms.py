"""What is said of the data holds at its stated rate, when trainings differ by seed and by draw."""

from __future__ import annotations

import numpy as np
import pytest

from residency.diagnose.arm_questions import ask_arms
from residency.diagnose.error_budget import run_alpha
from residency.diagnose.simulate_arms import ArmWorld, simulate_arms, simulate_reruns
from residency.diagnose.simulated_project import World
from residency.stats.training_permutation import compare_trainings
from residency.stats.trainings_compared import count_needed_trainings


def share(world: ArmWorld, tries: int = 120) -> tuple[float, float, float]:
    rng = np.random.default_rng(11)
    drawn = [simulate_arms(rng, world) for _ in range(tries)]
    return tuple(
        float(np.mean([getattr(one, name) for one in drawn]))
        for name in ("models", "rows", "choice")
    )  # type: ignore[return-value]


def test_random_rows_called_targeted_are_hardly_ever_said_to_do_more_by_choice() -> None:
    models, _, choice = share(ArmWorld(seed=0.2, draw=0.7))
    assert models > 0.25  # two models differ: true of them, and nothing of the data
    assert choice <= 0.05 + 0.03


def test_rows_that_are_an_average_draw_are_not_said_to_differ() -> None:
    """The controls vary, the targeted trainings hardly do: a bare permutation errs in 12 %."""
    _, rows, choice = share(ArmWorld(seed=0.05, draw=0.7, chosen=True))
    assert rows <= 0.05 + 0.04
    assert choice <= rows


def test_a_real_gain_is_found() -> None:
    _, rows, choice = share(ArmWorld(trainings=6, seed=0.2, draw=0.3, gain=1.6, chosen=True), 120)
    assert rows > 0.8
    assert choice > 0.6


def test_permutation_alone_is_not_enough_where_one_arm_varies_more() -> None:
    """All controls on one side of targeted trainings that hardly differ: p of the labels is 2/70."""
    found = compare_trainings([0.50, 0.52, 0.60, 0.85], [0.45, 0.45, 0.45, 0.45])
    assert found.smallest_p == pytest.approx(2 / 70)
    assert found.p_value > 0.05
    assert "could be shown" in found.sentence


def test_the_level_decides_how_many_trainings_are_needed() -> None:
    assert [count_needed_trainings(a) for a in (0.35, 0.1, 0.05, 0.025, 0.008)] == [2, 3, 4, 5, 5]
    few = compare_trainings([0.5, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3, 0.4], alpha=0.025)
    assert not few.can_tell
    assert "At least 5 of each" in few.sentence


def test_an_answer_that_stops_coming_makes_no_arm_better() -> None:
    failing = {("i", f"e{k}"): k < 10 for k in range(20)}
    silent = {check: None if bad else bad for check, bad in failing.items()}
    asked = ask_arms([failing], [silent], groups={})
    assert asked.delta == 0
    assert asked.unscored == 10
    nobody = dict.fromkeys(failing)
    assert ask_arms([nobody], [nobody], groups={}).checks == 0


def test_paraphrases_count_as_one_request() -> None:
    control = {("i", f"e{k}"): True for k in range(12)}
    targeted = dict.fromkeys(control, False)
    groups = {f"e{k}": f"g{k // 4}" for k in range(12)}
    assert ask_arms([control], [targeted], groups=groups).p_value == pytest.approx(2 / 2**3)


def test_the_runs_of_a_project_share_alpha() -> None:
    parts = [run_alpha(0.05, number) for number in range(1, 2000)]
    assert parts[0] == 0.05  # a project with one run has the whole of it
    assert parts == sorted(parts, reverse=True)
    assert sum(parts) <= 0.1
    planned = [run_alpha(0.05, number, 3) for number in range(1, 2000)]
    assert sum(planned[:3]) == pytest.approx(0.05)
    assert sum(planned) <= 0.05 * 4 / 3
    with pytest.raises(ValueError, match="runs count from 1"):
        run_alpha(0.05, 0)


def test_running_again_and_again_claims_less_with_the_ledger() -> None:
    rng = np.random.default_rng(3)
    claimed = [simulate_reruns(rng, runs=2, world=World(items=60)) for _ in range(6)]
    ledger, fresh = (sum(side) for side in zip(*claimed, strict=True))
    assert ledger <= fresh
    assert ledger <= 1
