"""Results of jobs behind any fsspec URL: an object store (``s3://``, ``gs://``), or another machine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from residency.errors import StoreError
from residency.files.content_hash import hash_folder
from residency.jobs.job import JobResult
from residency.store.artifacts import name_artifact
from residency.store.remote_folders import RemoteFolders


class RemoteJobStore:
    """Jobs behind an fsspec URL; files are fetched once to a folder of this machine.

    Two drivers that work on the same graph there may both do a job: both write the same result.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._remote = RemoteFolders(self.address)
        self._local = _open_local_folder()
        self._whole: set[str] = set()

    def find_result(self, job: str) -> JobResult | None:
        """See ``JobStore``."""
        written = self._remote.read_file(f"results/{job}.json")
        try:
            result = None if written is None else JobResult(**json.loads(written))
        except (ValueError, TypeError):
            return None
        if result and result.artifact and not self._remote.has_folder(result.artifact):
            return None
        return result

    def add_result(self, result: JobResult) -> None:
        """See ``JobStore``."""
        written = json.dumps(result.to_dict()).encode()
        self._remote.write_file(f"results/{result.job}.json", written)

    def put_folder(self, source: Path) -> str:
        """See ``JobStore``."""
        digest = hash_folder(source)
        self._remote.put_folder(source, digest)
        return digest

    def open_folder(self, digest: str) -> Path:
        """See ``JobStore``."""
        target = self._local / name_artifact(digest)
        if digest not in self._whole and not (target.is_dir() and hash_folder(target) == digest):
            state = self._remote.fetch_folder(digest, target)
            if state != "whole":
                raise StoreError(
                    f"artifact {digest} {'is missing' if state == 'missing' else 'was changed'}",
                    where=self._remote.shown,
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


def _open_local_folder() -> Path:
    """Where fetched files lie on this machine: a folder that is this user's alone.

    Raises:
        StoreError: somebody else has made one of its name.
    """
    folder = Path(tempfile.gettempdir()) / f"residency-files-{_user_name()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        raise StoreError(
            "the folder for fetched files belongs to somebody else",
            where=str(folder),
            next_step="remove it, or set TMPDIR to a folder of your own",
        )
    return folder


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "user"
