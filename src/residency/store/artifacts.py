"""Files and folders named by the SHA-256 of their content: adapters, token tables, reports."""

from __future__ import annotations

import shutil
from pathlib import Path

from residency.errors import StoreError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_folder


class Artifacts:
    """A folder of content-named folders. Putting the same content twice stores it once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_folder(self, source: Path) -> str:
        """Copy a folder in, atomically, and give its hash."""
        digest = hash_folder(source)
        target = self._path(digest)
        if not target.exists():
            with open_draft_folder(target) as draft:
                shutil.copytree(source, draft, dirs_exist_ok=True)
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
        if verify and hash_folder(path) != digest:
            raise StoreError(
                f"artifact {digest} was changed after it was stored",
                where=str(path),
                next_step="delete it and run again",
            )
        return path

    def _path(self, digest: str) -> Path:
        return self._root / digest.replace("sha256:", "sha256-")[:39]
