"""The work folder of ``residency train``, kept so that ``--extend`` can go on from its end."""

from __future__ import annotations

import shutil
from pathlib import Path

from residency.errors import UserError

MARK = "kept"


def keep(folder: Path) -> None:
    """Keep this finished training, with its checkpoint, and no other."""
    for other in folder.parent.iterdir():
        if other != folder and (other / MARK).exists():
            shutil.rmtree(other)
    (folder / MARK).touch()


def go_on_from(finished: Path, folder: Path) -> None:
    """Begin ``folder`` as a copy of a kept training; one that was begun already stays as it is.

    Raises:
        UserError: no such training is kept.
    """
    if folder.exists():
        return
    if not (finished / MARK).exists():
        raise UserError(
            "the training that these settings and rows name is not kept, so it cannot go on",
            next_step="residency train keeps its last one; or raise train.epochs and train anew",
        )
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(finished, temporary)
    (temporary / MARK).unlink()
    temporary.rename(folder)
