"""What two arms of trainings give when they are compared, without what is needed to compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_TRAININGS = 20


@dataclass(frozen=True)
class TrainingsCompared:
    """Failure rates of the trainings of two arms.

    Attributes:
        control, targeted: trainings of each arm.
        delta: mean failure rate of the control arm minus that of the targeted one.
        low, high: Welch's 95 % interval of it; (−1, 1) with fewer than two trainings an arm.
        p_value: two-sided p of “these rows do no more than random rows on average”, the larger of
            permutation and Welch; 1 where the arms cannot be told apart.
        draw_p: two-sided p of “one more random draw does as much”.
        smallest_p: the smallest p that so many trainings can give.
        noise: standard deviation between trainings of one arm (pooled); None: not known.
        seed_noise: how far two trainings differ that differ in their seed alone (root mean square,
            from the targeted arm). draw_noise: in seed and draw (from the control arm).
        alpha: the level of the question.
    """

    control: int = 0
    targeted: int = 0
    delta: float = 0.0
    low: float = -1.0
    high: float = 1.0
    p_value: float = 1.0
    smallest_p: float = 1.0
    noise: float | None = None
    draw_p: float = 1.0
    seed_noise: float | None = None
    draw_noise: float | None = None
    alpha: float = 0.05

    @property
    def can_tell(self) -> bool:
        """Whether so many trainings could show a difference at ``alpha`` at all."""
        return self.smallest_p <= self.alpha

    @property
    def rows_differ(self) -> bool:
        """Whether these rows are shown to do more (or less) than random rows on average."""
        return self.can_tell and self.p_value <= self.alpha

    @property
    def choice_differs(self) -> bool:
        """Whether they are also shown to do more (or less) than one more random draw would."""
        return self.rows_differ and self.draw_p <= self.alpha

    @property
    def sentence(self) -> str:
        """What may be said of the data."""
        if not self.can_tell:
            trainings = "training" if self.targeted == 1 else "trainings"
            return (
                f"Whether the data made the difference cannot be told from {self.control} control "
                f"and {self.targeted} targeted {trainings}: another seed or draw of rows moves whole "
                f"slices. At least {count_needed_trainings(self.alpha)} of each are needed."
            )
        over = f"over {self.control} control and {self.targeted} targeted trainings"
        if not self.rows_differ:
            return (
                f"No difference between the data of the arms could be shown {over} "
                f"(p = {self.p_value:.2g})."
            )
        more = "more" if self.delta > 0 else "less"
        points = f"{100 * abs(self.delta):.1f} points"
        if not self.choice_differs:
            return (
                f"These targeted rows mended {more} than random rows do on average, {over}: {points} "
                f"(p = {self.p_value:.2g}). That choosing them did it is not shown: one more random "
                f"draw may do as much (p = {self.draw_p:.2g})."
            )
        return (
            f"The {'targeted' if self.delta > 0 else 'random'} rows mended more, {over}: {points} "
            f"(p = {self.p_value:.2g}), and more than one more draw would explain "
            f"(p = {self.draw_p:.2g})."
        )


def count_needed_trainings(alpha: float) -> int:
    """The fewest trainings of each arm that could show a difference at ``alpha``."""
    for count in range(1, _MOST_TRAININGS):
        if 2 / math.comb(2 * count, count) <= alpha:
            return count
    return _MOST_TRAININGS
