"""What a search for settings tries."""

from __future__ import annotations

from dataclasses import dataclass

from residency.errors import UserError


@dataclass(frozen=True)
class SearchOptions:
    """What to vary and how long it may take.

    Attributes:
        vary: ``NAME=LOW..HIGH`` or ``NAME=A,B`` each; none: learning rate, epochs and rank.
        trials: settings tried, the project's among them. seeds: trainings of each, unless it is
            stopped before.
        confirm: fresh trainings of the best settings and of the project's.
        minutes: all together may take so long, by the estimate; 0: no bound.
        base: a name as in ``model.base``; empty: the project's.
    """

    vary: tuple[str, ...] = ()
    trials: int = 20
    seeds: int = 2
    confirm: int = 3
    minutes: float = 60.0
    base: str = ""

    def __post_init__(self) -> None:
        """Raises ``UserError`` for what cannot be meant."""
        if self.trials < 2 or self.seeds < 1 or self.confirm < 2 or self.minutes < 0:
            raise UserError(
                "a search needs 2 trials, 1 seed and 2 trainings to confirm; minutes count from 0",
                where="search",
            )
