"""How the project's α is spent: over the rounds on dev, and the sealed test."""

from __future__ import annotations

TEST_SHARE = 0.2
"""Share of α kept for the sealed test; the rounds on dev spend the rest."""


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
