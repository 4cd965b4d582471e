"""Evaluation while training, and the weights of the step that scored best."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residency.model.quiet_libraries import quiet_libraries
from residency.train.checkpoint import RunState
from residency.train.train_engine import Engine


class BestCheckpoint:
    """Scores the model every ``eval_every`` steps and at the end; higher is better.

    Args:
        score: the score of the model as it is; None: nothing is scored, and the last step stays.
            It is measured on rank 0, and on every rank where weights are sharded.
        weights: of the best step so far, from a checkpoint.
    """

    def __init__(
        self,
        engine: Engine,
        score: Callable[[], float] | None,
        weights: dict[str, Tensor] | None,
    ) -> None:
        self.engine, self.score, self.weights = engine, score, weights

    def evaluate_if_due(self, state: RunState, *, last: bool) -> None:
        """Evaluate if it is time; note the score, keep the best weights, stop when patience is over."""
        settings = self.engine.settings
        due = last or (settings.eval_every and state.step % settings.eval_every == 0)
        if not due or self.score is None:
            return
        state.evaluations.append((state.step, self._measure(self.score)))
        score = state.evaluations[-1][1]
        best = dict(state.evaluations).get(state.best_step, -math.inf)
        if (
            score > best or score == best == 0.0
        ):  # while nothing is right no step is better than the next
            state.best_step = state.step
            self.weights = {
                name: value.clone() for name, value in self.engine.trained_weights().items()
            }
        since = sum(step > state.best_step for step, _ in state.evaluations)
        patience = settings.early_stopping
        state.stopped_early = not last and bool(patience) and since >= patience

    def _measure(self, score: Callable[[], float]) -> float:
        """Rank 0's score. Sharded weights are gathered by all ranks together: all of them evaluate."""
        engine, value = self.engine, 0.0
        if engine.world.first or engine.sharded is not None:
            devices = [engine.device] if engine.device.type == "cuda" else []
            with torch.random.fork_rng(devices):  # what is drawn meanwhile changes no later step
                value = score()
        return engine.world.agree(value)


def score_model(engine: Engine, evaluate: Callable[[Any], float]) -> float:
    """A metric of the model itself, in its evaluation mode."""
    with engine.evaluation_mode() as model, torch.no_grad(), quiet_libraries():
        return float(engine.with_weights(evaluate, model))


def score_folder(
    engine: Engine,
    base: Path,
    folder: Path,
    state: RunState,
    evaluate: Callable[[Path], float],
    write: Callable[..., None],
) -> float:
    """A metric of the weights as they are, written as the result will be. 0 on ranks but the first.

    ``write``: ``write_trained_model``, told what the result declares.
    """
    weights = engine.gather_weights()
    if not engine.world.first:
        return 0.0
    written = folder / f"step-{state.step}"
    try:
        write(engine, base, written, state, weights=weights)
        return float(evaluate(written))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
