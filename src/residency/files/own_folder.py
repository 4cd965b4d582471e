"""Folders that we wrote where the user chose: marked, never replaced with anything else in them.

A folder of ours holds a list of the files that were written. Only such a folder is ever replaced,
only when the user says so, and not when something was put into it since.
"""

from __future__ import annotations

import json
from pathlib import Path

from residency.errors import UserError
from residency.files.atomic_write import write_json

MARKER = ".residency-made.json"


def mark_folder(folder: Path) -> None:
    """Note in a folder that we made it, and of which files.

    Raises:
        OSError: it cannot be written.
    """
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    write_json(folder / MARKER, {"files": files})


def check_replaceable(folder: Path, *, force: bool, option: str = "--out") -> None:
    """Refuse to write over what is not ours.

    Raises:
        UserError: something lies there that we did not make, or that was added to what we
            made; or it is ours and ``force`` is False.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(
            "something that is not a folder lies here", where=str(folder),
            next_step=f"name a new folder with {option}",
        )  # fmt: skip
    if not folder.exists() or not any(folder.iterdir()):
        return
    strange = _find_strangers(folder)
    if strange is None or strange:
        what = "this folder was not made by Residency"
        if strange:
            what = f"this folder holds files that Residency did not write: {', '.join(strange[:4])}"
        raise UserError(what, where=str(folder), next_step=f"name a new folder with {option}")
    if not force:
        raise UserError(
            "this folder was written by an earlier command",
            where=str(folder),
            next_step=f"name a new folder with {option}, or replace it with --force",
        )


def _find_strangers(folder: Path) -> list[str] | None:
    """Files beyond those of the marker; None without a marker that can be read."""
    try:
        written = set(json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    present = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    return sorted(name for name in present if name not in written and name != MARKER)
