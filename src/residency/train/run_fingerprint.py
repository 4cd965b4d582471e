"""What tells one training from another: its data, settings and seed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residency.config.train import TrainConfig
from residency.errors import ConfigError
from residency.train.batch_source import Batches
from residency.train.checkpoint import RunState, compare_fingerprints


def make_fingerprint(
    source: Batches, settings: TrainConfig, seed: int, hashes: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that changes the result, by name."""
    apart = ("track", "sharding")  # they change no result
    named = {
        f"train.{key}": value
        for key, value in settings.name_what_decides().items()
        if key not in apart
    }
    named |= {f"hash.{key}": value for key, value in hashes.items()}
    return {**named, "rows": source.fingerprint, "seed": seed}


def compare_run(state: RunState, fingerprint: Mapping[str, Any], out: Path, extend: bool) -> None:
    """Refuse to go on with a run of other data or settings; ``extend`` allows more epochs.

    Raises:
        ResumeError, ConfigError: naming the differences.
    """
    before = dict(state.fingerprint)
    if extend:
        now = float(fingerprint["train.epochs"])
        if now < float(before["train.epochs"]):
            raise ConfigError(
                f"extend cannot shorten a run of {before['train.epochs']} epochs to {now}",
                where="train.epochs",
            )
        before["train.epochs"] = fingerprint["train.epochs"]
    compare_fingerprints(before, fingerprint, out)
