"""``residency pretrain``: raw text to a base model, or more pretraining of an existing one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from residency.errors import ConfigError, ResidencyError, StoreError
from residency.files.write_errors import raise_os_errors
from residency.interfaces import Progress, no_progress
from residency.pretraining.pretrain_result import PretrainResult
from residency.pretraining.recipe import PretrainConfig, load_recipe, recipe_for

__all__ = [
    "PretrainConfig",
    "PretrainResult",
    "load_recipe",
    "pretrain",
    "recipe_for",
    "snapshot",
]


def pretrain(
    recipe: PretrainConfig,
    out: Path,
    *,
    start: str = "",
    others: Sequence[Path] = (),
    threads: int = 0,
    device: str = "auto",
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
) -> PretrainResult:
    """Train on raw text; the model is then in ``out/model``.

    The same call goes on where an interrupted one was. What was tokenised is kept and reused.

    Args:
        start: a base model to go on from (domain adaptation); empty trains a tokenizer and a
            model from nothing.
        others: text that is only measured: what does the model forget elsewhere?

    Raises:
        ConfigError, DataError: a wrong recipe; empty, binary or too little text.
        ResumeError: ``out`` holds a run of another recipe. StoreError: the disk is full.
        TrainingError: a non-finite step; the last checkpoint is kept.
    """
    if not recipe.corpus:
        raise ConfigError(
            "no text to train on", next_step="give --text DIR, or [[corpus]] entries in the recipe"
        )
    if recipe.run.method == "lora" and not start:
        raise ConfigError(
            "an adapter needs a model to adapt",
            where="run.method",
            next_step='use --from MODEL, or method = "full"',
        )
    from residency.pretraining.pretrain_run import PretrainRun

    try:
        with raise_os_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            run = PretrainRun(recipe, out, start, others, threads, device, progress, say)
            return run.train_and_measure()
    except OSError as error:
        raise _write_error(error, out) from error


def _write_error(error: OSError, out: Path) -> Exception:
    """A failed write in the user's words, what it left half-written removed.

    Errors of ours that are OSErrors too stay what they are.
    """
    if isinstance(error, ResidencyError):
        return error
    for half in (*out.glob(".model.draft-*"), *(out / "tokens").glob(".*.draft-*")):
        shutil.rmtree(half, ignore_errors=True)
    return StoreError(
        f"cannot write: {error.strerror or error}",
        where=str(out),
        next_step="free some space and run the same command: the last checkpoint is kept",
    )


def snapshot(recipe: PretrainConfig, out: Path, *, start: str = "", device: str = "auto") -> Path:
    """The model of an interrupted run's last checkpoint, in ``out/model``; nothing is trained.

    With a constant learning rate this is the model of a run of just so many steps.

    Raises:
        ResumeError: there is no checkpoint. StoreError: the disk is full.
    """
    from residency.pretraining.pretrain_run import save_last_checkpoint

    try:
        return save_last_checkpoint(recipe, out, start, device)
    except OSError as error:
        raise _write_error(error, out) from error
