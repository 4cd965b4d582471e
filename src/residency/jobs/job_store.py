"""Results of jobs by content id, in a folder or behind any fsspec URL (``s3://``, ``gs://`` …).

A result appears in one step, after its files: a job is done or it is not. Files are named by the
hash of their content and checked against it when they are read.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from residency.errors import MissingExtraError, StoreError
from residency.files.atomic_write import open_draft_folder, write_json
from residency.files.content_hash import hash_folder
from residency.jobs.job import JobResult
from residency.store.artifacts import Artifacts


class JobStore(Protocol):
    """Where results and files of jobs lie; every process that works on them opens its own."""

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
        digest = hash_folder(source)
        if self._artifacts.check_artifact(digest) == "changed":
            self._artifacts.set_aside(digest)
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


class RemoteJobStore:
    """Jobs behind an fsspec URL; files are fetched once to a folder of this machine.

    Two drivers that work on the same graph there may both do a job: both write the same result.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            files: Any = import_module("fsspec.core")
            self._fs, self._root = files.url_to_fs(self.address)
        except ImportError as error:
            raise MissingExtraError(
                f"this kind of address needs another library: {error}",
                where=self.address,
                next_step="install it, or name a shared folder",
            ) from None
        except ValueError as error:
            raise StoreError(f"the address cannot be used: {error}", where=self.address) from None
        self._local = Path(tempfile.gettempdir()) / f"residency-files-{_user_name()}"
        self._whole: set[str] = set()

    def find_result(self, job: str) -> JobResult | None:
        """See ``JobStore``."""
        try:
            result = JobResult(**json.loads(self._fs.cat_file(self._path(job))))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        if result.artifact and not self._fs.exists(f"{self._folder_of(result.artifact)}.whole"):
            return None
        return result

    def add_result(self, result: JobResult) -> None:
        """See ``JobStore``."""
        self._write(self._path(result.job), json.dumps(result.to_dict()).encode())

    def put_folder(self, source: Path) -> str:
        """See ``JobStore``. The mark of a whole folder is written last."""
        digest = hash_folder(source)
        there = self._folder_of(digest)
        if not self._fs.exists(f"{there}.whole"):
            names = sorted(p.relative_to(source).as_posix() for p in _list_files(source))
            for name in names:
                self._write(f"{there}/{name}", (source / name).read_bytes())
            self._write(f"{there}.whole", json.dumps(names).encode())
        return digest

    def open_folder(self, digest: str) -> Path:
        """See ``JobStore``."""
        target = self._local / digest.replace("sha256:", "sha256-")[:39]
        if digest in self._whole or (target.is_dir() and hash_folder(target) == digest):
            self._whole.add(digest)
            return target
        there = self._folder_of(digest)
        try:
            names = json.loads(self._fs.cat_file(f"{there}.whole"))
            with open_draft_folder(target) as draft:
                for name in names:
                    path = draft / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._fs.get_file(f"{there}/{name}", str(path))
        except FileNotFoundError:
            names = None
        if names is None or hash_folder(target) != digest:
            raise StoreError(
                f"artifact {digest} {'is missing' if names is None else 'was changed'}",
                where=self.address,
                next_step="remove it there; the job that made it is done again",
            )
        self._whole.add(digest)
        return target

    @contextmanager
    def claim(self, job: str) -> Iterator[Path]:
        """See ``JobStore``. Work folders lie on this machine; the claim holds on it alone."""
        folder = self._local / "work"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{job}.lock"):
            work = folder / job
            work.mkdir(exist_ok=True)
            yield work
            shutil.rmtree(work, ignore_errors=True)

    def _path(self, job: str) -> str:
        return f"{self._root}/results/{job}.json"

    def _folder_of(self, digest: str) -> str:
        return f"{self._root}/artifacts/{digest.replace('sha256:', 'sha256-')[:39]}"

    def _write(self, path: str, data: bytes) -> None:
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, data)


def _list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "user"
