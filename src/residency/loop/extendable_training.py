"""The work folder of ``residency train``, saved so that ``--extend`` can go on from its end."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from residency.errors import UserError
from residency.files.atomic_write import open_draft_folder
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store

KEPT_MARK = "kept"
ABANDONED_SECONDS = 14 * 24 * 3600
"""An interrupted training that nobody went on with for so long is removed."""


def keep_training(folder: Path) -> None:
    """Keep this finished training, with its checkpoint, and no other."""
    for other in folder.parent.iterdir():
        if other != folder and (other / KEPT_MARK).exists():
            shutil.rmtree(other)
    (folder / KEPT_MARK).touch()


def remove_abandoned(folders: Path, store: Store, run: str) -> None:
    """Remove work folders that nobody will go on with: of trainings that ended, or left long ago."""
    for folder in folders.iterdir() if folders.is_dir() else ():
        if not folder.is_dir() or (folder / KEPT_MARK).exists():
            continue
        ended = store.stage(run, StageKey(StageName.TRAIN, folder.name)) is not None
        if ended or time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def copy_kept_training(finished: Path, folder: Path) -> None:
    """Begin ``folder`` as a copy of a saved training; one that was begun already stays as it is.

    Raises:
        UserError: no such training is saved.
    """
    if folder.exists():
        return
    if not (finished / KEPT_MARK).exists():
        raise UserError(
            "the training that these settings and rows name is not kept, so it cannot go on",
            next_step="residency train keeps its last one; or raise train.epochs and train anew",
        )
    with open_draft_folder(folder) as draft:
        shutil.copytree(finished, draft, dirs_exist_ok=True)
        (draft / KEPT_MARK).unlink()
