"""Memory and time of a training before it runs: a few of its steps, and a formula for the rest.

The steps are made by a separate process (estimate_probe.py), so that its memory is nobody else's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from residency import errors
from residency.errors import ResidencyError, TrainingError
from residency.files.python_command import make_python_command
from residency.nouns.short_view import ShortView
from residency.text.counts import write_count


@dataclass(frozen=True, repr=False)
class Estimate(ShortView):
    """What a training will need.

    Attributes:
        memory: peak bytes of the process that trains, as the system counts them (resident set, or
            what is allocated on a CUDA device). program: of them libraries and data, held before
            the model is loaded. model: the loaded weights. training: what steps and checkpoints
            add (adapters, gradients, optimizer, activations). cache: mapped pages of the frozen
            layers' cache that the probe did not read; the system may take such pages back.
        steps: optimizer steps. step_seconds: of an average step, checkpoints included.
        frozen_seconds: computing the frozen layers that no earlier run stored.
        seconds: of all steps, frozen layers included; not starting and loading.
        measured_memory, measured_step_seconds: of a real run, where one was made to compare.
    """

    memory: int
    program: int
    model: int
    training: int
    cache: int
    steps: int
    step_seconds: float
    frozen_seconds: float
    seconds: float
    measured_memory: int = 0
    measured_step_seconds: float = 0.0

    def describe(self) -> str:
        """Memory and time in a sentence."""
        return (
            f"Training needs about {self.memory / 2**30:.1f} GiB of memory and {self.seconds / 60:.0f} min: "
            f"{write_count(self.steps, 'step')} of {self.step_seconds:.1f} s."
        )

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


_LESS_MEMORY = 'try a smaller train.micro_tokens or batch_size, or train.layers = "top-N"'
_OWN_ERROR = 3
"""How the probe ends after an error of ours, which it wrote."""
_LOWER_RATE = "try a lower train.learning_rate: the loss left the numbers within a few steps"


def run_apart(module: str, job: Mapping[str, Any], check_steps: int) -> Estimate:
    """The estimate that ``python -m module`` prints for a job, and with ``check_steps`` its error.

    Args:
        check_steps: also really run so many steps, in another process, and give the error.

    Raises:
        ResidencyError: what the probe raised of our own errors.
        TrainingError: it failed in another way (out of memory, for one); its last line says why.
    """
    predicted = Estimate(**_run_child(module, {**job, "check_steps": 0}))
    if not check_steps:
        return predicted
    real = _run_child(module, {**job, "check_steps": min(check_steps, predicted.steps)})
    return Estimate(**{**asdict(predicted), **real})


def _run_child(module: str, job: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        done = subprocess.run(
            make_python_command(module, str(file)), capture_output=True, text=True, check=False
        )
    if done.returncode == _OWN_ERROR and done.stdout.strip():
        raise _read_error(done.stdout.splitlines()[-1])
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["killed: out of memory?"])[-1]
        raise TrainingError(
            f"the probe failed: {last}",
            next_step=_LESS_MEMORY,
        )
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


def _read_error(line: str) -> ResidencyError:
    """An error of ours that the probe wrote, of its own kind."""
    body = json.loads(line)
    kind, what = getattr(errors, body.pop("kind"), ResidencyError), body.pop("what")
    if "gradient norm" in what:
        return TrainingError(f"the probe failed: {what}", next_step=_LOWER_RATE)
    error: ResidencyError = kind(what, **body)
    return error


def answer_job(main: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run ``main(job)`` on the job file that the command names; print its result as JSON."""
    try:
        print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
    except ResidencyError as error:
        parts = {"what": error.what, "where": error.where, "next_step": error.next_step}
        print(json.dumps({"kind": type(error).__name__, **parts}))
        raise SystemExit(_OWN_ERROR) from None
    except Exception as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
        raise SystemExit(1) from None
