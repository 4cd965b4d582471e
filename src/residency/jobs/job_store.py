"""Results of jobs by content id, in a folder or behind a URL (``remote_job_store``).

A result appears in one step, after its files: a job is done or it is not. Files are named by the
hash of their content and checked against it when they are read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from residency.errors import StoreError
from residency.files.atomic_write import write_json
from residency.jobs.job import JobResult
from residency.store.artifacts import Artifacts


class JobStore(Protocol):
    """Where results and files of jobs lie; every process that works on them opens one."""

    address: str
    """Folder or URL by which another process opens the same store."""

    def find_result(self, job: str) -> JobResult | None:
        """The result of a job that is done and whole, or None."""
        ...

    def add_result(self, result: JobResult) -> None:
        """Make a job done. Its artifact must be there already."""
        ...

    def put_folder(self, source: Path) -> str:
        """Copy a folder in; its content hash."""
        ...

    def open_folder(self, digest: str) -> Path:
        """Where a stored folder can be read on this machine.

        Raises:
            StoreError: it is not there, or was changed.
        """
        ...

    def claim(self, job: str) -> AbstractContextManager[Path]:
        """While inside, nobody else on this store does the job; gives its work folder."""
        ...


def open_job_store(address: str) -> JobStore:
    """The store at a folder or a URL.

    Raises:
        StoreError: the URL cannot be used. MissingExtraError: its library is not installed.
    """
    if "://" in address and not address.startswith("file://"):
        from residency.jobs.remote_job_store import RemoteJobStore

        return RemoteJobStore(address)
    return FolderJobStore(Path(address.removeprefix("file://")))


class FolderJobStore:
    """Jobs in a folder of this machine, or one that several machines share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.address = str(self.folder)
        self._artifacts = Artifacts(self.folder / "artifacts")

    def find_result(self, job: str) -> JobResult | None:
        """See ``JobStore``."""
        try:
            raw = json.loads(self._path(job).read_text(encoding="utf-8"))
            result = JobResult(**raw)
        except (OSError, ValueError, TypeError):
            return None
        if result.artifact and not self._is_whole(result.artifact):
            return None
        return result

    def add_result(self, result: JobResult) -> None:
        """See ``JobStore``."""
        write_json(self._path(result.job), result.to_dict())

    def put_folder(self, source: Path) -> str:
        """See ``JobStore``."""
        return self._artifacts.put_folder(source)

    def open_folder(self, digest: str) -> Path:
        """See ``JobStore``."""
        return self._artifacts.folder(digest)

    @contextmanager
    def claim(self, job: str) -> Iterator[Path]:
        """See ``JobStore``. The system drops the claim when the process dies."""
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{job}.lock"):
            work = self.folder / "work" / job
            work.mkdir(parents=True, exist_ok=True)
            yield work
            shutil.rmtree(work, ignore_errors=True)

    def _path(self, job: str) -> Path:
        return self.folder / "results" / f"{job}.json"

    def _is_whole(self, digest: str) -> bool:
        try:
            self._artifacts.folder(digest)
        except StoreError:
            return False
        return True
