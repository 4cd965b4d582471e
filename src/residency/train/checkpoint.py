"""Checkpoints: safetensors and JSON, written beside and renamed, so that each is whole or absent.

A checkpoint holds what trains, the optimizer, the random state, the cursor (the step), the
losses so far and the fingerprint of data and settings. Nothing is pickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from residency.errors import ResumeError
from residency.files.atomic_write import draft_name, publish_folder
from residency.files.content_hash import hash_file
from residency.files.write_errors import raise_os_errors
from residency.train import sharded_checkpoint as shards

if TYPE_CHECKING:
    from residency.train.train_engine import Engine

_NAME, _SHARDS, _FILES = "step-", "shards", "files"


@dataclass
class RunState:
    """Everything about a run that is not a tensor.

    Attributes:
        fingerprint: data, settings and seed, by name; a resume must have the same.
        step: optimizer steps done. losses: one a step. trained, tokens: sums over steps.
        seconds: time spent training so far. evaluations: (step, score), higher is better.
        best_step: step of the best score, 0 when nothing was evaluated.
        finished: the run is over (all steps done, or stopped early).
        stopped_early: by ``early_stopping``. memory: most bytes held so far.
        frozen_seconds: time spent on the frozen layers, before the steps.
        notes: what the user was told; a call on a run that is over tells it again.
    """

    fingerprint: dict[str, Any]
    step: int = 0
    losses: list[float] = field(default_factory=list)
    trained: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    finished: bool = False
    stopped_early: bool = False
    memory: int = 0
    frozen_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def save_checkpoint(
    folder: Path, state: RunState, engine: Engine, best: Mapping[str, Tensor] | None
) -> None:
    """Write ``folder/step-N``; older checkpoints go once it is there. All ranks call.

    ``best``: weights of the best step so far.

    Raises:
        OSError: it cannot be written (a full disk); the older ones stay, nothing of it does.
    """
    final = folder / f"{_NAME}{state.step:08d}"
    temporary = draft_name(final, shared=True)
    try:
        with raise_os_errors(folder):
            _write_files(temporary, final, state, engine, best)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_files(
    temporary: Path, final: Path, state: RunState, engine: Engine, best: Mapping[str, Tensor] | None
) -> None:
    team = engine.world
    if team.first:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    team.wait()
    optimizer = engine.optimizer_state()
    groups = {"weights": engine.trained_weights(), "optimizer": optimizer, "best": best or {}}
    if engine.sharded is not None:
        shards.write_shards(temporary / _SHARDS, groups)
    elif team.first:
        for name, named in groups.items():
            if named:
                save_file(_plain_tensors(named), temporary / f"{name}.safetensors")
    save_file(_random_state(), _random_file(temporary, team.rank))
    team.wait()
    if team.first:
        files = {file.name: hash_file(file) for file in sorted(temporary.glob("*.safetensors"))}
        state_and_files = {**asdict(state), _FILES: files}
        (temporary / "state.json").write_text(json.dumps(state_and_files), encoding="utf-8")
        _replace_checkpoints(temporary, final)
    team.wait()


def _replace_checkpoints(temporary: Path, final: Path) -> None:
    publish_folder(temporary, final)
    for old in final.parent.iterdir():
        if old.is_dir() and old != final:
            shutil.rmtree(old, ignore_errors=True)


def find_latest(folder: Path) -> tuple[Path, RunState] | None:
    """The newest whole checkpoint, or None.

    Raises:
        ResumeError: there are checkpoints, and all are damaged.
    """
    problem = None
    for path in sorted(folder.glob(f"{_NAME}*"), reverse=True):
        try:
            raw = json.loads((path / "state.json").read_text(encoding="utf-8"))
            _verify_files(path, raw.pop(_FILES, {}))
            raw["evaluations"] = [(int(step), float(score)) for step, score in raw["evaluations"]]
            return path, RunState(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = problem or _damaged_error(path, error)
    if problem is not None:
        raise problem
    return None


def _verify_files(path: Path, files: Mapping[str, str]) -> None:
    """Nothing where every file is as it was written; a resumed run must not go on from other numbers.

    Raises:
        ValueError, OSError: one is not.
    """
    for name, digest in files.items():
        if hash_file(path / name) != digest:
            raise ValueError(f"{name} is not what was written")


def _damaged_error(path: Path, error: Exception) -> ResumeError:
    return ResumeError(
        f"this checkpoint is damaged: {error}",
        where=str(path),
        next_step="delete it and run the same command: it begins again from the checkpoint "
        "before, or from the first step",
    )


def restore_checkpoint(path: Path, state: RunState, engine: Engine) -> dict[str, Tensor] | None:
    """Set weights, optimizer and random state as a checkpoint has them; gives the best weights.

    A sharded checkpoint fits any number of processes, and one that holds a whole model too.

    Raises:
        ResumeError: a file of it is missing or was cut.
    """
    try:
        return _restore_state(path, state, engine)
    except (SafetensorError, FileNotFoundError) as error:
        raise _damaged_error(path, error) from error


def _restore_state(path: Path, state: RunState, engine: Engine) -> dict[str, Tensor] | None:
    best = None
    if (path / _SHARDS).is_dir():
        engine.blank_optimizer()
        groups = {"weights": engine.trained_weights(), "optimizer": engine.optimizer_state()}
        if state.best_step:
            best = {name: value.clone() for name, value in engine.trained_weights().items()}
            groups["best"] = best
        shards.read_shards(path / _SHARDS, groups)
        engine.mark_changed()
    else:
        engine.load_weights(read_tensors(path, "weights"))
        engine.load_optimizer(read_tensors(path, "optimizer"))
        best = engine.shard_like_weights(read_tensors(path, "best")) or None
    mine = _random_file(path, engine.world.rank)
    _restore_random(load_file(mine if mine.exists() else _random_file(path, 0)))
    engine.steps_done = state.step
    return best


def _random_file(path: Path, rank: int) -> Path:
    return path / (f"random-{rank}.safetensors" if rank else "random.safetensors")


def read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """``weights``, ``optimizer`` or ``best`` of a checkpoint; empty when not there.

    Raises:
        ResumeError: the file was cut.
    """
    file = path / f"{name}.safetensors"
    try:
        return load_file(file) if file.exists() else {}
    except SafetensorError as error:
        raise _damaged_error(path, error) from error


def _restore_random(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def compare_fingerprints(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with other data or settings.

    Raises:
        ResumeError: naming every difference, old and new.
    """
    differences = [
        f"{name}: {before.get(name, '(absent)')!r} then, {now.get(name, '(absent)')!r} now"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise ResumeError(
            "this run was begun with other data or settings: " + "; ".join(differences),
            where=str(where),
            next_step="use the same again, name another folder, or start over with resume=False "
            "(to train a finished run further on purpose, use extend)",
        )


def _plain_tensors(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in named.items()}


def _random_state() -> dict[str, Tensor]:
    out = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        out["cuda"] = torch.cuda.get_rng_state()
    return out
