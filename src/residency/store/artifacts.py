"""Files and folders named by the SHA-256 of their content: adapters, token tables, reports."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

from residency.errors import StoreError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_folder

ArtifactState = Literal["whole", "missing", "changed"]
_NAME = re.compile("sha256-[0-9a-f]{32}")


class Artifacts:
    """A folder of content-named folders. Putting the same content twice stores it once.

    What is opened is what was stored: the content is hashed when it is first opened in a process.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    def put_folder(self, source: Path) -> str:
        """Copy a folder in, atomically, and give its hash."""
        digest = hash_folder(source)
        target = self.path_of(digest)
        if target.exists() and self.check_artifact(digest) == "changed":
            self.set_aside(digest)
        if not target.exists():
            with open_draft_folder(target) as draft:
                shutil.copytree(source, draft, dirs_exist_ok=True)
        return digest

    def folder(self, digest: str) -> Path:
        """Where an artifact lies, whole.

        Raises:
            StoreError: it is missing, or its content has changed.
        """
        if digest in self._verified and self.path_of(digest).exists():
            return self.path_of(digest)
        if (state := self.check_artifact(digest)) != "whole":
            what = "is missing" if state == "missing" else "was changed after it was stored"
            raise StoreError(
                f"artifact {digest} {what}",
                where=str(self.path_of(digest)),
                next_step="residency doctor --repair, then residency run makes it again; "
                "or restore the project's .residency folder from a backup",
            )
        return self.path_of(digest)

    def check_artifact(self, digest: str) -> ArtifactState:
        """Whether an artifact is there as it was stored. Reads all of it."""
        path = self.path_of(digest)
        if not path.is_dir():
            return "missing"
        if hash_folder(path) != digest:
            return "changed"
        self._verified.add(digest)
        return "whole"

    def find_state(self, digest: str) -> ArtifactState:
        """Whether an artifact can be had whole."""
        return self.check_artifact(digest)

    def send_missing(self) -> None:
        """Give a team what it lacks; one person's artifacts go nowhere."""

    def list_names(self) -> set[str]:
        """Names of the folders that are stored here, set aside ones left out."""
        if not self.root.is_dir():
            return set()
        return {path.name for path in self.root.iterdir() if _NAME.fullmatch(path.name)}

    def list_shared(self) -> set[str]:
        """Names of those that a team's place has; one person has none."""
        return set()

    def set_aside(self, digest: str) -> Path | None:
        """Move a changed artifact out of the way, beside the others; None where there is none."""
        path = self.path_of(digest)
        if not path.exists():
            return None
        number = 1
        while (aside := path.with_name(f"{path.name}.changed-{number}")).exists():
            number += 1
        self._verified.discard(digest)
        return path.rename(aside)

    def path_of(self, digest: str) -> Path:
        """Where an artifact lies or would lie."""
        return self.root / name_artifact(digest)


def name_artifact(digest: str) -> str:
    """What an artifact's folder is called, wherever it lies."""
    return digest.replace("sha256:", "sha256-")[:39]
