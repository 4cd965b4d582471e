"""What a run tells while it trains: progress for people, metrics of each step for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from residency.interfaces import Progress, ProgressEvent
from residency.train.checkpoint import RunState
from residency.train.step_result import StepResult
from residency.train.trackers import open_tracker

STAGE = "train"
OnEvent = Callable[[Mapping[str, float]], None]


class Reporter:
    """Tells of each step.

    Args:
        total: optimizer steps. peak: FLOP/s of a matrix product here (``metrics.ceiling``).
        on_event: gets each step's metrics. track, out: also send them to this tracker, for the
            run in that folder.
    """

    def __init__(
        self,
        total: int,
        peak: float,
        progress: Progress,
        on_event: OnEvent | None,
        *,
        track: str = "",
        out: Path,
    ) -> None:
        self.total, self.peak, self.progress = total, peak, progress
        self.listeners = [on_event] if on_event is not None else []
        self._close: Callable[[], None] | None = None
        if track:
            log, self._close = open_tracker(track, out.parent, out.name)
            self.listeners.insert(0, log)

    def close_tracker(self) -> None:
        """Close the tracker."""
        if self._close is not None:
            self._close()

    def report_step(self, state: RunState, result: StepResult, memory: int) -> None:
        """Tell of the step just made. memory: bytes, the most so far."""
        seconds = max(result.seconds, 1e-9)
        speed = result.tokens / seconds
        figures = {"loss": result.loss, "tokens/s": round(speed)}
        self.progress(ProgressEvent(STAGE, state.step, self.total, "steps", figures))
        event = {
            "step": float(state.step),
            "loss": result.loss,
            "grad_norm": result.grad_norm,
            "learning_rate": result.learning_rate,
            "tokens_per_second": speed,
            "trained_tokens_per_second": result.trained / seconds,
            "model_flop_utilisation": result.flops / seconds / self.peak,
            "memory_bytes": float(memory),
            "seconds_left": state.seconds / state.step * (self.total - state.step),
        }
        if state.evaluations and state.evaluations[-1][0] == state.step:
            event["score"] = state.evaluations[-1][1]
        for listener in self.listeners:
            listener(event)
