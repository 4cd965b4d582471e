"""How α is spent: over the runs of a project, the rounds of a run on dev, and the sealed test."""

from __future__ import annotations

TEST_SHARE = 0.2
"""Share of α reserved for the sealed test; the rounds on dev spend the rest."""


def round_alpha(alpha: float, round: int, rounds: int = 0) -> float:
    """What round r ≥ 1 may spend on dev.

    ⅘·α in equal parts where the number of rounds is known beforehand (``rounds``, at least 1);
    otherwise ⅘·α/(r(r+1)), which sums to ⅘·α however many come.

    Raises:
        ValueError: the round is not one that is judged.
    """
    if round < 1 or (rounds and round > rounds):
        raise ValueError(f"rounds that are judged count from 1, not {round} of {rounds or 'any'}")
    share = 1 / rounds if rounds else 1 / (round * (round + 1))
    return (1 - TEST_SHARE) * alpha * share


def run_alpha(alpha: float, number: int, runs: int = 1) -> float:
    """What the ``number``-th run (1, 2, …) on the same dev and test rows may spend.

    α in equal parts for the ``runs`` that are planned: together they claim something false with a
    chance of at most α. Every run beyond them shares one part more, the j-th gets 1/(j(j+1)) of it,
    however many come: together at most α·(1 + 1/runs).

    Raises:
        ValueError: there is no such run.
    """
    if number < 1 or runs < 1:
        raise ValueError(f"runs count from 1, not {number} of {runs}")
    part = alpha / runs
    beyond = number - runs
    return part if beyond <= 0 else part / (beyond * (beyond + 1))
