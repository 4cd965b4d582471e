"""Memory and time of a project's training, before it runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.config.settings import Config
from residency.loop.encode_rows import encode_to_train
from residency.nouns.content_id import content_id
from residency.project.workspace import Workspace
from residency.store.store import Store
from residency.train.estimate import Estimate, answer, run_apart

if TYPE_CHECKING:
    from residency.train.train_loop import TrainResult

__all__ = ["Estimate", "estimate", "estimate_against"]

KIND = "estimate"


def estimate(ws: Workspace, *, check_steps: int = 0) -> Estimate:
    """What training on the project's train split needs, by a formula and a small probe.

    The probe opens the project as the command does, so that it holds what that holds. The
    estimate is kept: the next training with the same base and settings says how far off it was.

    Args:
        check_steps: also really run so many steps and give the estimate's error.

    Raises:
        DataError: there is no row to train on. TrainingError: the probe failed.
    """
    encode_to_train(ws, ws.split("train"))
    config = ws.config.model_dump(mode="json")
    job = {"root": str(ws.root.resolve()), "config": config, "full": ws.full}
    found = run_apart("residency.commands.estimate", job, check_steps)
    ws.store.add_record(KIND, _key(ws), found.to_dict())
    return found


def estimate_against(ws: Workspace, result: TrainResult) -> dict[str, Any]:
    """The last estimate for this base and these settings against a real run; empty without one.

    ``memory_error`` and ``time_error`` are (estimate − real) / real; time is of all steps and, where
    they were computed, the frozen layers.
    """
    kept = ws.store.records(KIND, _key(ws))
    if not kept:
        return {}
    last = kept[-1]
    steps, real_steps = last["seconds"] - last["frozen_seconds"], result.seconds
    seconds = last["frozen_seconds"] + steps / last["steps"] * result.steps
    real = real_steps + result.frozen_seconds
    return {
        "memory": last["memory"],
        "seconds": seconds,
        "step_seconds": last["step_seconds"],
        "memory_error": (last["memory"] - result.memory) / result.memory,
        "time_error": (seconds - real) / real,
    }


def _key(ws: Workspace) -> str:
    return content_id(
        KIND,
        {
            "base": ws.base.identity,
            "settings": ws.config.train.model_dump(mode="json"),
            "device": ws.config.model.device,
            "threads": ws.config.model.threads,
        },
    )


def _main(job: dict[str, Any]) -> dict[str, Any]:
    from residency.train.estimate_probe import probe

    ws = Workspace(Path(job["root"]), Config.model_validate(job["config"]), full=job["full"])
    with tempfile.TemporaryDirectory(dir=ws.store.folder) as scratch:
        store = Store(Path(scratch))  # metrics are written as by the command, but not kept
        return probe(
            ws.base.path,
            encode_to_train(ws, ws.split("train")).rows,
            ws.config.train,
            seed=ws.config.project.seed,
            threads=ws.config.model.threads,
            device=ws.config.model.device,
            trunk_cache=ws.store.folder / "cache" / "trunk",
            identity=ws.base.identity,
            on_event=lambda event: store.add_metrics("probe", int(event["step"]), event),
            check_steps=job["check_steps"],
        )


if __name__ == "__main__":
    answer(_main)
