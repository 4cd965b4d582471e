"""Results of jobs behind any fsspec URL: an object store (``s3://``, ``gs://``), or another machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock

from residency.errors import MissingExtraError, ResidencyError, StoreError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_folder
from residency.jobs.job import JobResult
from residency.secrets import hide_secrets, mask_address, remember_secret

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "cos"}
"""Protocols without folders: a path is a name, and needs nothing above it."""


class RemoteJobStore:
    """Jobs behind an fsspec URL; files are fetched once to a folder of this machine.

    Two drivers that work on the same graph there may both do a job: both write the same result.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._shown, secrets = mask_address(self.address)
        for secret in secrets:
            remember_secret(secret)
        try:
            files: Any = import_module("fsspec.core")
            with self._asking():  # some connect as soon as they are made
                # Others write there too: a listing that is remembered would hide what they did.
                self._fs, self._root = files.url_to_fs(self.address, use_listings_cache=False)
                self._fs.exists(self._root)
        except ImportError as error:
            raise MissingExtraError(
                f"this kind of address needs another library: {error}",
                where=self._shown,
                next_step="install it, or name a shared folder",
            ) from None
        self._has_folders = not OBJECT_STORES & {
            *([self._fs.protocol] if isinstance(self._fs.protocol, str) else self._fs.protocol)
        }
        self._local = _open_local_folder()
        self._whole: set[str] = set()

    def find_result(self, job: str) -> JobResult | None:
        """See ``JobStore``."""
        with self._asking():
            try:
                result = JobResult(**json.loads(self._fs.cat_file(self._path(job))))
            except (FileNotFoundError, ValueError, TypeError):
                return None
            there = f"{self._folder_of(result.artifact)}.whole" if result.artifact else ""
            return None if there and not self._fs.exists(there) else result

    def add_result(self, result: JobResult) -> None:
        """See ``JobStore``."""
        with self._asking():
            self._write(self._path(result.job), json.dumps(result.to_dict()).encode())

    def put_folder(self, source: Path) -> str:
        """See ``JobStore``. The mark of a whole folder is written last."""
        digest = hash_folder(source)
        there = self._folder_of(digest)
        with self._asking():
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
        with self._asking():
            try:
                names = _read_names(self._fs.cat_file(f"{there}.whole"))
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
                where=self._shown,
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
        if self._has_folders:  # an object store would make a bucket of a mistyped name
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, data)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What the library of this address raises, as our error: each has other kinds."""
        try:
            yield
        except (ResidencyError, ImportError):
            raise
        except Exception as error:
            words = str(error).strip() or "no reason is given"
            raise StoreError(
                f"the artifacts cannot be reached: {type(error).__name__}: {hide_secrets(words)}",
                where=self._shown,
                next_step="look at the address, and at this machine's credentials for it; what is "
                "done is kept, and the same command goes on",
            ) from None


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


def _read_names(listed: bytes) -> list[str]:
    """The files of a folder; whoever writes to the store may have listed anything.

    Raises:
        ValueError: the list is none, or names a path outside of the folder.
    """
    names = json.loads(listed)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("a list of files cannot be read")
    for name in names:
        parts = re.split(r"[/\\]", name)
        if {"", ".", ".."} & {*parts} or ":" in name or "\0" in name:
            raise ValueError(f"a list of files names {name!r}, which lies outside of its folder")
    return names


def _list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "user"
