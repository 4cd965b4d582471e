"""Memory and time of a project's training, before it runs."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from residency.config.settings import Config
from residency.loop.encode_rows import encode_trained_rows
from residency.loop.estimate_error import ESTIMATE_RECORD, hash_training
from residency.loop.replay_rows import mix_replay
from residency.project.settings_file import read_config
from residency.project.workspace import Workspace
from residency.store.store import Store
from residency.train.estimate import Estimate, answer_job, run_apart

__all__ = ["Estimate", "estimate"]


def estimate(ws: Workspace, *, check_steps: int = 0) -> Estimate:
    """What training on the project's train split (and general rows) needs, by a formula and a small probe.

    The probe opens the project as the command does, so that it holds what that holds. The
    estimate is stored: the next training with the same base and settings says how far off it was.

    Args:
        check_steps: also really run so many steps and give the estimate's error.

    Raises:
        DataError: there is no row to train on. TrainingError: the probe failed.
    """
    encode_trained_rows(ws, mix_replay(ws, ws.split("train")))
    config = ws.config.model_dump(mode="json")
    job = {"root": str(ws.root.resolve()), "config": config, "full": ws.full}
    with ws.store.writer("estimate"):
        result = run_apart("residency.commands.estimate", job, check_steps)
        ws.store.add_record(ESTIMATE_RECORD, hash_training(ws), result.to_dict())
    return result


def _main(job: dict[str, Any]) -> dict[str, Any]:
    from residency.train.estimate_probe import probe_training

    root = Path(job["root"])
    config = Config.model_validate(job["config"]).with_secrets_of(read_config(root))
    ws = Workspace(root, config, full=job["full"])
    with tempfile.TemporaryDirectory(dir=ws.store.folder) as scratch, ExitStack() as stack:
        store = Store(Path(scratch))  # metrics are written as by the command, then deleted
        stack.enter_context(store.writer("estimate"))
        return probe_training(
            ws.base.path,
            encode_trained_rows(ws, mix_replay(ws, ws.split("train"))).rows,
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
    answer_job(_main)
