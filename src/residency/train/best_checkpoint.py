"""Evaluation while training, and the weights of the step that scored best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from residency.interfaces import TokenRow
from residency.model.load_model import quiet_transformers
from residency.train.batch_source import as_objective
from residency.train.checkpoint import RunState
from residency.train.train_engine import Engine


class BestCheckpoint:
    """Scores the model every ``eval_every`` steps and at the end; higher is better.

    Args:
        evaluate: gets the model and gives its score: a metric of the task.
        dev: rows whose negative loss is the score when ``evaluate`` is None.
        weights: of the best step so far, from a checkpoint.
    """

    def __init__(
        self,
        engine: Engine,
        evaluate: Callable[[Any], float] | None,
        dev: Sequence[TokenRow],
        weights: dict[str, Tensor] | None,
    ) -> None:
        self.engine, self.evaluate, self.weights = engine, evaluate, weights
        self.dev = as_objective(dev, engine.settings.objective)

    def evaluate_if_due(self, state: RunState, *, last: bool) -> None:
        """Evaluate if it is time; note the score, keep the best weights, stop when patience is over."""
        settings = self.engine.settings
        due = last or (settings.eval_every and state.step % settings.eval_every == 0)
        if not due or (self.evaluate is None and not self.dev):
            return
        score = self._measure_score()
        state.evaluations.append((state.step, score))
        known = dict(state.evaluations)
        if state.best_step == 0 or score > known[state.best_step]:
            state.best_step = state.step
            self.weights = {
                name: value.clone() for name, value in self.engine.trained_weights().items()
            }
        since = sum(step > state.best_step for step, _ in state.evaluations)
        patience = settings.early_stopping
        state.stopped_early = not last and bool(patience) and since >= patience

    def _measure_score(self) -> float:
        """Rank 0's score. Sharded weights are gathered by all ranks together: all of them evaluate."""
        engine, score = self.engine, 0.0
        if engine.world.first or engine.sharded is not None:
            if self.evaluate is None:
                score = -engine.mean_loss(self.dev)
            else:
                with engine.evaluation_mode() as model, torch.no_grad(), quiet_transformers():
                    score = float(engine.with_weights(self.evaluate, model))
        return engine.world.agree(score)
