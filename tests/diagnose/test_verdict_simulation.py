"""1000 simulated projects: nothing is claimed that is not so, and the stated fall is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from residency.diagnose.simulate_projects import simulate_fall, simulate_null


@pytest.mark.slow
def test_false_claims_in_at_most_five_percent_of_projects() -> None:
    """40 candidate slices, the worst become issues, 300 items, noise flips, four rounds."""
    rng = np.random.default_rng(2026)
    projects = [simulate_null(rng, items=300, rounds=4) for _ in range(1000)]
    false = np.mean([project.claims > 0 for project in projects])
    naive = np.mean([project.naive > 0 for project in projects])
    assert np.mean([project.issues for project in projects]) > 5  # there was something to judge
    assert false <= 0.05
    assert naive > 0.3


@pytest.mark.parametrize("round", [1, 4])
def test_a_true_fall_of_the_stated_size_is_found(round: int) -> None:
    rng = np.random.default_rng(7)
    falls = [simulate_fall(rng, items=300, round=round) for _ in range(400)]
    showable = [fall for fall in falls if fall is not None and not math.isinf(fall.stated)]
    assert len(showable) > 250
    assert np.mean([fall.found for fall in showable]) >= 0.8
