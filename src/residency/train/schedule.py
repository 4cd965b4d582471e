"""Learning-rate schedules: linear warm-up, then cosine, linear or constant."""

from __future__ import annotations

import math

from residency.config.train import TrainConfig


def learning_rate(settings: TrainConfig, step: int, total: int) -> float:
    """Learning rate of a step (0-based) out of ``total``.

    The first step already moves: warm-up over w steps gives 1/w, 2/w, … 1 of the peak. The
    last step's rate is above zero, so that none of the data is seen in vain.
    """
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - warm) / max(1, total - warm)
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - done)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
