"""Files that are dropped on a page: saved beside the project under a safe name, never over another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath

from fastapi import UploadFile

from residency.errors import DataError
from residency.files.atomic_write import draft_name
from residency.files.content_hash import hash_file

FOLDER = "data"


def keep_upload(file: UploadFile, folder: Path) -> Path:
    """Write a dropped file into ``folder/data``; the same file dropped twice is saved once.

    Raises:
        DataError: it has no name, or the folder cannot be written.
    """
    name = safe_file_name(file.filename or "")
    target = folder / FOLDER / name
    draft = draft_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as out:
            shutil.copyfileobj(file.file, out)
        path = target
        number = 2
        while path.exists():
            if hash_file(path) == hash_file(draft):
                draft.unlink()
                return path
            path = target.with_name(f"{_stem(name)}-{number}{name[len(_stem(name)) :]}")
            number += 1
        draft.rename(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(
            f"the file cannot be kept: {error.strerror or error}", where=str(target.parent)
        ) from None
    return path


def safe_file_name(name: str) -> str:
    """A name without folders and without what a shell or a page could stumble over.

    Raises:
        DataError: nothing is left of it.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    clean = re.sub(r"[^\w.+-]+", "_", last).lstrip(".-")[:120]
    if not clean.strip("._"):
        raise DataError("the file has no name", next_step="give it one, and drop it again")
    return clean


def _stem(name: str) -> str:
    """``rows`` of ``rows.jsonl.gz``: what comes before all of its endings."""
    return name.split(".", 1)[0]
