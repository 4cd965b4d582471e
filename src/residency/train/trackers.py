"""Send a run's metrics to a tracker that the user named: TensorBoard, W&B, MLflow or Trackio.

Each is an optional package (extra ``track``). TensorBoard, MLflow and Trackio write to this
machine unless told otherwise by their settings; W&B sends to its server.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from residency.errors import MissingExtraError
from residency.http.telemetry import silence_telemetry

Log = Callable[[Mapping[str, float]], None]
_MODULES = {
    "tensorboard": "torch.utils.tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}


def open_tracker(name: str, folder: Path, run: str) -> tuple[Log, Callable[[], None]]:
    """A function that logs a step's metrics, and one that ends the run.

    Args:
        name: ``tensorboard``, ``wandb``, ``mlflow`` or ``trackio``.
        folder: where local files go. run: the run's name.

    Raises:
        MissingExtraError: the package is not installed.
    """
    silence_telemetry()
    try:
        module = importlib.import_module(_MODULES[name])
    except ImportError:
        raise MissingExtraError(
            f"train.track = {name!r} needs a package that is not installed",
            where="train.track",
            next_step="pip install 'residency[track]'",
        ) from None
    begin: Callable[[Any, Path, str], tuple[Log, Callable[[], None]]] = globals()[f"_open_{name}"]
    return begin(module, folder, run)


def _split_event(event: Mapping[str, float]) -> tuple[dict[str, float], int]:
    return {k: v for k, v in event.items() if k != "step"}, int(event["step"])


def _open_tensorboard(module: Any, folder: Path, run: str) -> tuple[Log, Callable[[], None]]:
    writer = module.SummaryWriter(str(folder / "tensorboard" / run))

    def log(event: Mapping[str, float]) -> None:
        values, step = _split_event(event)
        for key, value in values.items():
            writer.add_scalar(f"train/{key}", value, step)

    return log, writer.close


def _open_wandb(module: Any, folder: Path, run: str) -> tuple[Log, Callable[[], None]]:
    session = module.init(project="residency", name=run, dir=str(folder))

    def log(event: Mapping[str, float]) -> None:
        values, step = _split_event(event)
        session.log(values, step=step)

    return log, session.finish


def _open_mlflow(module: Any, folder: Path, run: str) -> tuple[Log, Callable[[], None]]:
    module.set_experiment("residency")
    module.start_run(run_name=run)

    def log(event: Mapping[str, float]) -> None:
        values, step = _split_event(event)
        module.log_metrics(values, step=step)

    return log, module.end_run


def _open_trackio(module: Any, folder: Path, run: str) -> tuple[Log, Callable[[], None]]:
    module.init(project="residency", name=run)

    def log(event: Mapping[str, float]) -> None:
        values, step = _split_event(event)
        module.log(values, step=step)

    return log, module.finish
