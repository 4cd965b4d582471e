"""A few steps of a training, made to learn what all of it will need (estimate.py).

They are made by ``train`` itself, on batches of the run: the one with the largest micro-batch, the
smallest and two between, each taken twice, with a checkpoint in the middle. Peak memory is then
what this process held, and the part of the frozen layers' cache that it did not map. Time is a
line through the second passes, seconds over model FLOPs, summed over the batches of the run. What
the very first step took longer is paid once (merged copies, optimizer), what the other first passes
took longer once for each shape of batch that the run meets; checkpoints and frozen layers are added
as measured.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from residency.config.train import TrainConfig
from residency.interfaces import TokenRow
from residency.train.batch_source import EpochBatches
from residency.train.probe_batches import (
    FewBatches,
    Sizes,
    batch_shape,
    batch_sizes,
    choose_steps,
    count_tokens,
)
from residency.train.reporter import OnEvent
from residency.train.step_cost import memory_bytes
from residency.train.step_result import StepResult
from residency.train.train_engine import Engine
from residency.train.train_loop import train
from residency.train.train_options import CHECKPOINT_EVERY, TrainOptions
from residency.train.trunk_cache import TrunkCache


def probe_training(
    base: Path,
    rows: Sequence[TokenRow],
    settings: TrainConfig,
    *,
    seed: int,
    threads: int,
    device: str,
    trunk_cache: Path | None = None,
    identity: str = "probe",
    on_event: OnEvent | None = None,
    check_steps: int = 0,
) -> dict[str, Any]:
    """Fields of ``Estimate`` for a training in a process like this one.

    Args:
        trunk_cache, identity: of the run: what lies there need not be computed.
        on_event: what the run does with each step's metrics; its time counts.
        check_steps: instead, the fields of a real run of so many steps.
    """
    source = EpochBatches(rows, settings.batch_size, settings.epochs, seed)
    settings = settings.model_copy(update={"track": ""})
    common: dict[str, Any] = {
        "seed": seed,
        "threads": threads,
        "device": device,
        "identity": identity,
        "on_event": on_event,
    }
    if check_steps:
        real = _run_steps(
            base, FewBatches(source, range(check_steps)), settings, CHECKPOINT_EVERY, **common
        )
        return {
            "measured_memory": real.memory + real.unread(rows),
            "measured_step_seconds": real.seconds / check_steps,
        }
    sizes = batch_sizes(source, settings)
    chosen = choose_steps(sizes)
    done = _run_steps(base, FewBatches(source, [*chosen, *chosen]), settings, len(chosen), **common)
    seconds = _predict_seconds(done, sizes, chosen, source.steps)
    frozen, cache = done.frozen_seconds(rows, trunk_cache, identity), done.unread(rows)
    return {
        "memory": done.memory + cache,
        "program": done.program,
        "model": done.loaded - done.program,
        "training": done.memory - done.loaded,
        "cache": cache,
        "steps": source.steps,
        "step_seconds": seconds / source.steps,
        "frozen_seconds": frozen,
        "seconds": seconds + frozen,
    }


# --- trying them -----------------------------------------------------------------------------


class _WatchedEngine(Engine):
    """An engine that keeps what its steps gave, and what was held when it was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loaded = memory_bytes(self.device)
        self.results: list[StepResult] = []

    def step(self, rows: Sequence[TokenRow]) -> StepResult:
        """As the engine's, remembered."""
        self.results.append(super().step(rows))
        return self.results[-1]


@dataclass(frozen=True)
class _ProbeRun:
    """What a short run showed.

    Attributes:
        program, loaded, memory: bytes before the model, with it, and at most.
        seconds: of all steps. steps: of each. save: of the checkpoint after ``saved`` steps.
        filling: seconds that the frozen layers of ``rows`` took.
    """

    engine: _WatchedEngine
    rows: Sequence[TokenRow]
    program: int
    loaded: int
    memory: int
    seconds: float
    steps: tuple[float, ...]
    save: float
    filling: float

    def flops(self, sizes: Sizes) -> float:
        """Model FLOPs of a step."""
        return sum(self.engine.cost.of(tokens, trained) for tokens, trained in sizes)

    def unread(self, rows: Sequence[TokenRow]) -> int:
        """Bytes of the frozen layers' cache for the rows that this run did not read."""
        if self.engine.trunk is None:
            return 0
        return (count_tokens(rows) - count_tokens(self.rows)) * self.engine.trunk.token_bytes

    def frozen_seconds(
        self, rows: Sequence[TokenRow], cache_folder: Path | None, identity: str
    ) -> float:
        """Seconds that the frozen layers will take, but for the rows that are stored already."""
        trunk = self.engine.trunk
        if trunk is None:
            return 0.0
        if cache_folder is not None and cache_folder.is_dir():
            there = TrunkCache(cache_folder, trunk.decoder, trunk.layer, identity)
            rows = [row for row in rows if not there.has(row.ids)]
        return self.filling / count_tokens(self.rows) * count_tokens(rows)


def _run_steps(
    base: Path,
    few: FewBatches,
    settings: TrainConfig,
    save_after: int,
    *,
    identity: str,
    on_event: OnEvent | None,
    **common: Any,
) -> _ProbeRun:
    engines: list[_WatchedEngine] = []
    event_times: list[float] = []

    def make(*args: Any, **kwargs: Any) -> _WatchedEngine:
        engines.append(_WatchedEngine(*args, **kwargs))
        return engines[0]

    def tell(event: Mapping[str, float]) -> None:
        event_times.append(time.perf_counter())
        if on_event is not None:
            on_event(event)

    program = int(psutil.Process().memory_info().rss)
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            base,
            few,
            settings,
            Path(folder) / "run",
            TrainOptions(
                trunk_cache=Path(folder) / "trunk",
                hashes={"base": identity},
                on_event=tell,
                checkpoint_every=save_after,
                make_engine=make,
                **common,
            ),
        )
    engine = engines[0]
    on_device = engine.device.type == "cuda"
    step_seconds = [step.seconds for step in engine.results]
    beside = (
        np.diff(event_times) - step_seconds[1:]
    )  # between two steps: the next batch, events, a checkpoint
    usual = float(np.median(beside)) if len(beside) else 0.0
    saved = save_after - 1
    return _ProbeRun(
        engine=engine,
        rows=few.rows,
        program=0 if on_device else program,
        loaded=engine.loaded,
        memory=result.memory,
        seconds=result.seconds,
        steps=tuple(seconds + usual for seconds in step_seconds),
        save=max(0.0, float(beside[saved]) - usual) if saved < len(beside) else 0.0,
        filling=result.frozen_seconds,
    )


# --- what it means for the whole run -----------------------------------------------------------


def _predict_seconds(
    done: _ProbeRun, sizes: Mapping[int, Sizes], chosen: Sequence[int], steps: int
) -> float:
    """Seconds of all steps, checkpoints included."""
    once, again = np.array(done.steps[: len(chosen)]), np.array(done.steps[len(chosen) :])
    start, slope = fit_line([done.flops(sizes[step]) for step in chosen], again.tolist())
    steady = [start + slope * done.flops(size) for size in sizes.values()]
    once -= again
    shapes = len({batch_shape(size) for size in sizes.values()})
    new = max(0.0, float(once[1:].mean())) * (shapes - 1) if len(once) > 1 else 0.0
    saves = (steps - 1) // CHECKPOINT_EVERY
    return float(np.mean(steady)) * steps + max(0.0, float(once[0])) + new + saves * done.save


def fit_line(flops: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """(a, b) of seconds ≈ a + b·FLOPs by least squares, neither below zero."""
    x, y = np.array(flops), np.array(seconds)
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread else 0.0
    start = float(y.mean()) - slope * float(x.mean())
    if slope <= 0 or start < 0:
        return 0.0, float(y.sum() / x.sum())
    return start, slope
