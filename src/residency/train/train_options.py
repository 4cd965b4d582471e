"""What a training takes beside base, rows and settings: each with a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from residency.interfaces import Progress, TokenRow, no_progress
from residency.train.train_engine import Engine

CHECKPOINT_EVERY = 20
"""Steps between checkpoints, unless the caller says otherwise."""


@dataclass(frozen=True)
class TrainOptions:
    """How a training is run; none of it but seed and hashes changes what it gives.

    Attributes:
        seed: of shuffling, adapters and dropout. threads: CPU threads, 0 keeps PyTorch's.
        device: ``auto``, ``cpu``, ``cuda`` …
        base_name: what the user calls the base; written into the adapter. Empty: its folder.
        hashes: identities (base, data, template …) stored with the run and compared on resume.
        trunk_cache: folder for the frozen layers' states, shared by runs.
        resume: go on with a run that lies in the folder; False begins anew.
        extend: go on with more epochs on purpose. checkpoint_every: steps between checkpoints.
        evaluate: gets the model every ``eval_every`` steps and at the end; higher is better.
        evaluate_folder: gets a folder with the weights so far, written as the result will be; it is
            removed afterwards. Taken before ``evaluate``.
        dev: rows whose negative loss is the score when neither is given.
        progress: for people. on_event: metrics of each step, for programs.
        make_engine: the engine's class (pretraining brings another optimizer).
    """

    seed: int = 0
    threads: int = 0
    device: str = "auto"
    base_name: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    trunk_cache: Path | None = None
    resume: bool = True
    extend: bool = False
    checkpoint_every: int = CHECKPOINT_EVERY
    evaluate: Callable[[Any], float] | None = None
    evaluate_folder: Callable[[Path], float] | None = None
    dev: Sequence[TokenRow] = ()
    progress: Progress = no_progress
    on_event: Callable[[Mapping[str, float]], None] | None = None
    make_engine: Callable[..., Engine] = Engine
