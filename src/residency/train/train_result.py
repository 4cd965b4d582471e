"""What a training made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from residency.train.checkpoint import RunState


@dataclass(frozen=True)
class TrainResult:
    """What a run made.

    Attributes:
        folder: the adapter in PEFT's format, or the full weights.
        steps: optimizer steps done. losses: one a step (nats a trained token).
        trained_tokens, tokens: over all steps. seconds: time spent on steps, evaluations and
            checkpoints. frozen_seconds: time spent on computing the frozen layers before.
        evaluations: (step, score). best_step: 0 when nothing was evaluated.
        stopped_early: by ``early_stopping``. notes: what the user should know.
        memory: most bytes held from loading the model to the last step: by the whole process
            (peak resident set), or on the CUDA device.
    """

    folder: Path
    steps: int
    losses: tuple[float, ...]
    trained_tokens: int
    tokens: int
    seconds: float
    evaluations: tuple[tuple[int, float], ...] = ()
    best_step: int = 0
    stopped_early: bool = False
    notes: tuple[str, ...] = ()
    memory: int = 0
    frozen_seconds: float = 0.0

    @property
    def best_score(self) -> float | None:
        """Score at ``best_step``."""
        return dict(self.evaluations).get(self.best_step)


def make_result(out: Path, state: RunState, notes: Sequence[str]) -> TrainResult:
    """The result of a run in folder ``out``, from its state."""
    return TrainResult(
        folder=out / "adapter",
        steps=state.step,
        losses=tuple(state.losses),
        trained_tokens=state.trained,
        tokens=state.tokens,
        seconds=state.seconds,
        evaluations=tuple(state.evaluations),
        best_step=state.best_step,
        stopped_early=state.stopped_early,
        notes=tuple(notes),
        memory=state.memory,
        frozen_seconds=state.frozen_seconds,
    )
