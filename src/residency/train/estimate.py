"""Memory and time of a training before it runs: a formula, and a probe of one small step.

The probe runs in a process of its own, so that its memory is nobody else's. What does not grow
with the batch (weights, adapters, gradients, AdamW's two moments, the merged copies) is measured
once; logits are known from the vocabulary; activations grow with the flat tokens of the largest
micro-batch, and their slope is measured between two small batches. Time grows with model FLOPs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from residency.config import TrainConfig
from residency.errors import TrainingError
from residency.types import TokenRow


@dataclass(frozen=True)
class Estimate:
    """What a training will need.

    Attributes:
        memory: peak bytes. weights: of them the frozen and trained weights with all that goes
            with them (optimizer, gradients, merged copies, the program itself).
            logits, activations: of them the largest micro-batch's.
        steps: optimizer steps. step_seconds: of an average step. seconds: of all, the frozen
            layers included. frozen_seconds: computing the frozen layers once.
        measured_memory, measured_step_seconds: of a real run, where one was made to compare.
        program: of the memory, what the probe held before it loaded the model (the libraries).
    """

    memory: int
    weights: int
    logits: int
    activations: int
    steps: int
    step_seconds: float
    frozen_seconds: float
    seconds: float
    measured_memory: int = 0
    measured_step_seconds: float = 0.0
    program: int = 0

    @property
    def memory_error(self) -> float | None:
        """(estimate − measured) / measured, where a run was measured."""
        if not self.measured_memory:
            return None
        return (self.memory - self.measured_memory) / self.measured_memory

    @property
    def time_error(self) -> float | None:
        """The same of a step's seconds."""
        if not self.measured_step_seconds:
            return None
        return (self.step_seconds - self.measured_step_seconds) / self.measured_step_seconds

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, errors included."""
        return {
            **asdict(self),
            "memory_error": self.memory_error,
            "time_error": self.time_error,
        }


def estimate(
    base: Path,
    rows: Sequence[TokenRow],
    settings: TrainConfig,
    *,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    check_steps: int = 0,
) -> Estimate:
    """Predict peak memory and time of ``train`` with these arguments.

    Args:
        check_steps: also really run so many steps, in another process, and give the error.

    Raises:
        TrainingError: the probe failed (out of memory, for one); its last line says why.
    """
    job = {
        "base": str(base),
        "settings": settings.model_dump(),
        "seed": seed,
        "threads": threads,
        "device": device,
        "check_steps": 0,
        "rows": [[r.ids, r.mask, r.weight, r.rejected_ids, r.rejected_mask] for r in rows],
    }
    found = Estimate(**_child(job))
    if not check_steps:
        return found
    real = _child({**job, "check_steps": min(check_steps, found.steps)})
    return Estimate(**{**asdict(found), **real})


def _child(job: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "residency.train.estimate", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["killed: out of memory?"])[-1]
        raise TrainingError(
            f"the probe failed: {last}",
            next_step='try a smaller train.micro_tokens or batch_size, or train.layers = "top-N"',
        )
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


# --- in the child process --------------------------------------------------------------------


def _main(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from residency.model.load import pick_device
    from residency.train.engine import Engine
    from residency.train.loop import EpochBatches, load_base
    from residency.train.metrics import memory_bytes, reset_peak

    settings = TrainConfig(**job["settings"])
    rows = [
        TokenRow(str(n), tuple(ids), tuple(mask), weight, tuple(other_ids), tuple(other_mask))
        for n, (ids, mask, weight, other_ids, other_mask) in enumerate(job["rows"])
    ]
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    source = EpochBatches(rows, settings.batch_size, settings.epochs, job["seed"])
    program = memory_bytes(torch.device("cpu"))
    model = load_base(Path(job["base"]), settings, pick_device(job["device"]))
    with tempfile.TemporaryDirectory() as trunk:
        engine = Engine(
            model, settings, total_steps=source.steps, trunk=Path(trunk), identity="probe"
        )
        reset_peak(engine.device)
        if job["check_steps"]:
            return _check(engine, source, job["check_steps"])
        return {**_probe(engine, source), "program": program}


def _check(engine: Any, source: Any, steps: int) -> dict[str, Any]:
    from residency.train.metrics import peak_bytes

    batches = [source.batch(step) for step in range(steps)]
    engine.prepare([row for batch in batches for row in batch])
    seconds = [engine.step(batch).seconds for batch in batches]
    middle = sorted(seconds)[len(seconds) // 2]
    return {
        "measured_memory": peak_bytes(engine.device),
        "measured_step_seconds": middle,
    }


def _probe(engine: Any, source: Any) -> dict[str, Any]:
    from residency.model.head import CHUNK_BYTES
    from residency.train.batch import flatten, split_by_tokens
    from residency.train.metrics import memory_bytes, peak_bytes, reset_peak

    settings = engine.settings
    vocabulary = int(engine.model.get_output_embeddings().weight.shape[0])

    def logits(trained: int) -> int:
        return min(trained * vocabulary * 4, CHUNK_BYTES)

    # Steps: one to make the optimizer's state, then two sizes for the slope.
    first = source.batch(0)
    sizes = [first[: max(1, len(first) // 4)], first[: max(2, len(first) // 2)]]
    began = time.perf_counter()
    engine.prepare(first)
    frozen = time.perf_counter() - began
    frozen_tokens = sum(len(row.ids) for row in first)
    engine.step(sizes[0])
    static = memory_bytes(engine.device)
    points = []
    speed = 0.0
    for size in sizes:
        reset_peak(engine.device)
        engine.step(size)
        results = [engine.step(size) for _ in range(2)]
        batch = flatten(size)
        peak = peak_bytes(engine.device) - static - logits(len(batch.labels))
        points.append((len(batch.ids), max(0, peak)))
        speed = max(r.flops / r.seconds for r in results)
    (n0, p0), (n1, p1) = points
    slope = max((p1 - p0) / max(1, n1 - n0), p1 / n1 * 0.5)
    flat = [
        (len(b.ids), len(b.labels))
        for step in range(min(source.per_epoch, source.steps))
        for part in split_by_tokens(source.batch(step), settings.micro_tokens)
        for b in [flatten(part)]
    ]
    most, trained = max(flat)
    activations = int(max(p1 + slope * (most - n1), 0))
    flops = sum(engine.cost.of(n, s) for n, s in flat) / min(source.per_epoch, source.steps)
    step_seconds = flops / speed
    tokens = sum(len(row.ids) + len(row.rejected_ids) for row in source.rows)
    frozen_seconds = frozen / frozen_tokens * tokens if engine.trunk is not None else 0.0
    return {
        "memory": static + logits(trained) + activations,
        "weights": static,
        "logits": logits(trained),
        "activations": activations,
        "steps": source.steps,
        "step_seconds": step_seconds,
        "frozen_seconds": frozen_seconds,
        "seconds": frozen_seconds + step_seconds * source.steps,
    }


if __name__ == "__main__":
    try:
        print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
    except Exception as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
        raise SystemExit(1) from None
