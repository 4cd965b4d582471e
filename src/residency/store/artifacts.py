"""Files and folders named by the SHA-256 of their content: adapters, token tables, reports."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from residency.errors import StoreError


def folder_hash(path: Path) -> str:
    """``sha256:`` and the digest over every file's relative name and content, in name order."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as handle:
            total.update(hashlib.file_digest(handle, "sha256").digest())
    return "sha256:" + total.hexdigest()


class Artifacts:
    """A folder of content-named folders. Putting the same content twice stores it once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_folder(self, source: Path) -> str:
        """Copy a folder in, atomically, and give its hash."""
        digest = folder_hash(source)
        target = self._path(digest)
        if not target.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            temporary = self._root / f".{target.name}.{os.getpid()}"
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(source, temporary)
            temporary.rename(target)
        return digest

    def folder(self, digest: str, *, verify: bool = False) -> Path:
        """Where an artifact lies.

        Raises:
            StoreError: it is missing, or (``verify``) its content has changed.
        """
        path = self._path(digest)
        if not path.exists():
            raise StoreError(
                f"artifact {digest} is missing",
                where=str(path),
                next_step="restore the project's .residency folder from a backup, or run again",
            )
        if verify and folder_hash(path) != digest:
            raise StoreError(
                f"artifact {digest} was changed after it was stored",
                where=str(path),
                next_step="delete it and run again",
            )
        return path

    def _path(self, digest: str) -> Path:
        return self._root / digest.replace("sha256:", "sha256-")[:39]
