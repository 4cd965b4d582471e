"""Memory and time of a project's training, before it runs."""

from __future__ import annotations

from residency import data
from residency.errors import DataError
from residency.rounds.workspace import Workspace
from residency.train.estimate import Estimate
from residency.train.estimate import estimate as estimate_rows

__all__ = ["Estimate", "estimate"]


def estimate(ws: Workspace, *, check_steps: int = 0) -> Estimate:
    """What training on the project's train split needs, by a formula and a small probe.

    Args:
        check_steps: also really run so many steps and give the estimate's error.

    Raises:
        DataError: there is no row to train on. TrainingError: the probe failed.
    """
    encoded = data.encode_rows(
        ws.split("train"),
        ws.chat_format,
        max_length=ws.config.model.max_length,
        truncation=ws.config.data.truncation,
        cache_dir=ws.store.folder / "cache" / "tokens",
    )
    if not encoded.rows:
        raise DataError(
            "no row is left to train on",
            where="data.train",
            next_step="residency check says why each row was dropped",
        )
    return estimate_rows(
        ws.base.path,
        encoded.rows,
        ws.config.train,
        seed=ws.config.project.seed,
        threads=ws.config.model.threads,
        device=ws.config.model.device,
        check_steps=check_steps,
    )
