"""Artifacts of a team: each machine has those that it made or asked for, one place has them all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from residency.config.secret_url import SecretUrl, reveal_url
from residency.errors import ResidencyError, StoreError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_folder
from residency.store.artifacts import Artifacts, ArtifactState, name_artifact
from residency.store.remote_folders import RemoteFolders

_FETCHING = threading.RLock()
"""Threads of one process would share a draft."""


class SharedFolders(Protocol):
    """The place that a team shares. What cannot be reached is a ``ResidencyError``."""

    shown: str
    """How it is called in messages, without a password."""

    def has_folder(self, digest: str) -> bool:
        """Whether it is there; its bytes are not read."""
        ...

    def list_names(self) -> set[str]:
        """Names (``name_artifact``) of all that are there."""
        ...

    def put_folder(self, source: Path, digest: str) -> None:
        """Copy one there, in one step."""
        ...

    def fetch_folder(self, digest: str, target: Path) -> ArtifactState:
        """Copy one to ``target``, in one step, where it is whole."""
        ...

    def check_folder(self, digest: str) -> ArtifactState:
        """Whether one is there as it was put. Reads all of it."""
        ...

    def drop_folder(self, digest: str) -> None:
        """Let one that is not whole count no more."""
        ...


class FolderOfMachines:
    """A folder that all machines of the team have mounted. It is never made here: where the mount is
    gone, a folder of its name would be this machine's alone.
    """

    def __init__(self, folder: Path) -> None:
        self.shown = str(folder)
        self._folder = folder
        self._artifacts = Artifacts(folder / "artifacts")

    def has_folder(self, digest: str) -> bool:
        """See ``SharedFolders``."""
        with self._reaching():
            return self._artifacts.path_of(digest).is_dir()

    def list_names(self) -> set[str]:
        """See ``SharedFolders``."""
        with self._reaching():
            return self._artifacts.list_names()

    def put_folder(self, source: Path, digest: str) -> None:
        """See ``SharedFolders``."""
        with self._reaching():
            if not self._artifacts.path_of(digest).is_dir():
                self._artifacts.put_folder(source)

    def fetch_folder(self, digest: str, target: Path) -> ArtifactState:
        """See ``SharedFolders``."""
        with self._reaching():
            state = self._artifacts.check_artifact(digest)
            if state == "whole":
                with open_draft_folder(target) as draft:
                    shutil.copytree(self._artifacts.path_of(digest), draft, dirs_exist_ok=True)
            return state

    def check_folder(self, digest: str) -> ArtifactState:
        """See ``SharedFolders``."""
        with self._reaching():
            return self._artifacts.check_artifact(digest)

    def drop_folder(self, digest: str) -> None:
        """See ``SharedFolders``: it is set aside there, not deleted."""
        with self._reaching():
            self._artifacts.set_aside(digest)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        next_step = "mount it, or make it once: mkdir; what is done is kept"
        if not self._folder.is_dir():
            what = "the folder of the team's artifacts is not there"
            raise StoreError(what, where=self.shown, next_step=next_step)
        try:
            yield
        except OSError as error:
            what = f"the team's artifacts cannot be reached: {error.strerror or error}"
            raise StoreError(what, where=self.shown, next_step=next_step) from None


class TeamArtifacts(Artifacts):
    """A machine's artifacts that a team shares.

    What is stored is sent at once. Where the place cannot be reached it stays here, is told, and is
    sent with the next artifact, or by the next ``residency run``.

    Args:
        root: this machine's folder. address: the folder or fsspec URL that the team shares, relative
            to ``project``. tell: called with what went wrong and stops nothing.
    """

    def __init__(
        self, root: Path, address: str, project: Path, tell: Callable[[str], None]
    ) -> None:
        super().__init__(root)
        self._address, self._project, self._tell = address, project, tell
        self._opened: SharedFolders | None = None
        self._has_unsent = False

    @property
    def shown(self) -> str:
        """The shared place, as it may be shown."""
        return str(SecretUrl(self._address))

    def put_folder(self, source: Path) -> str:
        """See ``Artifacts``; sent to the team, too."""
        digest = super().put_folder(source)
        if self._has_unsent:
            self.send_missing()
        else:
            self._send(lambda shared: shared.put_folder(self.path_of(digest), digest))
        return digest

    def send_missing(self) -> None:
        """Send what this machine has and the place lacks; what was changed here stays here."""

        def send(shared: SharedFolders) -> None:
            for name in sorted(self.list_names() - shared.list_names()):
                digest = hash_folder(self.root / name)
                if name_artifact(digest) == name:
                    shared.put_folder(self.root / name, digest)

        if self.list_names():
            self._send(send)

    def folder(self, digest: str) -> Path:
        """See ``Artifacts``; fetched where it is not on this machine.

        Raises:
            StoreError: nobody has it whole, or the shared place cannot be reached.
        """
        if digest in self._verified and self.path_of(digest).exists():
            return self.path_of(digest)
        with _FETCHING:
            here = self.check_artifact(digest)
            if here != "whole":
                self._fetch(digest, here)
        return self.path_of(digest)

    def find_state(self, digest: str) -> ArtifactState:
        """Whether this machine has it whole, or the team has it (its bytes are not read).

        Raises:
            StoreError: it is not here, and the place cannot be reached: nobody knows.
        """
        here = self.check_artifact(digest)
        return "whole" if here == "whole" or self._open().has_folder(digest) else here

    def list_shared(self) -> set[str]:
        """Names of those that the place has; their bytes are not read.

        Raises:
            StoreError: the place cannot be reached.
        """
        return self._open().list_names()

    def check_shared(self, digest: str) -> ArtifactState:
        """Whether the team's copy is there as it was stored. Reads all of it.

        Raises:
            StoreError: the place cannot be reached.
        """
        return self._open().check_folder(digest)

    def drop_shared(self, digest: str) -> None:
        """Let the team's copy count no more, so that it is sent again.

        Raises:
            StoreError: the place cannot be reached.
        """
        self._open().drop_folder(digest)

    # --- inside ----------------------------------------------------------------------------

    def _open(self) -> SharedFolders:
        if self._opened is None:
            address = reveal_url(self._address)
            if "://" in address and not address.startswith("file://"):
                self._opened = RemoteFolders(self._address)
            else:
                path = Path(address.removeprefix("file://")).expanduser()
                self._opened = FolderOfMachines((self._project / path).resolve())
        return self._opened

    def _send(self, send: Callable[[SharedFolders], None]) -> None:
        """Nothing that was trained is lost for a place that cannot be reached."""
        try:
            send(self._open())
            self._has_unsent = False
        except ResidencyError as error:
            self._has_unsent = True
            self._opened = None  # its key may be set meanwhile
            self._tell(
                f"not sent to {self.shown}: {error.what}. It is stored on this machine; "
                "the next residency run sends it"
            )

    def _fetch(self, digest: str, here: ArtifactState) -> None:
        state = "on this machine" if here == "missing" else "whole on this machine"
        try:
            shared = self._open()
            if here == "changed" and shared.has_folder(digest):
                self.set_aside(digest)
            copy = shared.fetch_folder(digest, self.path_of(digest))
        except ResidencyError as error:
            raise StoreError(
                f"artifact {digest} is not {state}, and the team's cannot be had: {error.what}",
                where=self.shown,
                next_step=error.next_step,
            ) from None
        if copy == "whole":
            self._verified.add(digest)
            return
        problem = "not with the team" if copy == "missing" else "the team's copy was changed"
        raise StoreError(
            f"artifact {digest} is not {state} and {problem}",
            where=self.shown,
            next_step=_NEXT_STEPS[copy],
        )


_NEXT_STEPS = {
    "missing": "residency run on a machine that has it sends it; or residency doctor --repair here, "
    "then residency run trains it again",
    "changed": "residency doctor --repair on a machine that has it whole sends it again; or here, then "
    "residency run trains it again",
}
