"""Folders named by their content behind any fsspec URL: an object store (``s3://``, ``gs://``), or another machine."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from residency.config.secret_url import reveal_url
from residency.errors import MissingExtraError, ResidencyError, StoreError, UserError
from residency.files.atomic_write import open_draft_folder
from residency.files.content_hash import hash_folder
from residency.secrets import hide_secrets, mask_address, remember_secret
from residency.store.artifacts import ArtifactState, name_artifact

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "cos"}
"""Protocols without folders: a path is a name, and needs nothing above it."""
_MARK = ".whole"


def check_shared(address: str, where: str) -> str:
    """The address, unless no other process would find anything there.

    Raises:
        UserError: it names this process's own memory.
    """
    if address.partition("://")[0] == "memory":
        raise UserError(
            "memory:// is in one process alone, and ends with it",
            where=where,
            next_step="name a shared folder, or an object store",
        )
    return address


class RemoteFolders:
    """Files, and folders that are there as a whole or not at all: a folder's mark is written last.

    Args:
        address: an fsspec URL, with references to secrets.

    Raises:
        MissingExtraError: its library is not installed. StoreError: it cannot be reached.
    """

    def __init__(self, address: str) -> None:
        address = reveal_url(address).rstrip("/")
        self.shown, secrets = mask_address(address)
        for secret in secrets:
            remember_secret(secret)
        try:
            files: Any = import_module("fsspec.core")
            with self._asking():  # some connect as soon as they are made
                # Others write there too: a listing that is remembered would hide what they did.
                self._fs, self._root = files.url_to_fs(address, use_listings_cache=False)
                self._fs.exists(self._root)
        except ImportError as error:
            raise MissingExtraError(
                f"this kind of address needs another library: {error}",
                where=self.shown,
                next_step="install it, or name a shared folder",
            ) from None
        self._has_folders = not OBJECT_STORES & {
            *([self._fs.protocol] if isinstance(self._fs.protocol, str) else self._fs.protocol)
        }

    # --- files -----------------------------------------------------------------------------

    def read_file(self, name: str) -> bytes | None:
        """A file's bytes, or None where there is none."""
        with self._asking():
            try:
                return bytes(self._fs.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def write_file(self, name: str, data: bytes) -> None:
        """A file's bytes, in one step as far as the other side can."""
        with self._asking():
            self._fs.pipe_file(self._make_path(name), data)

    # --- folders ---------------------------------------------------------------------------

    def has_folder(self, digest: str) -> bool:
        """Whether a folder is there as a whole; its bytes are not read."""
        with self._asking():
            return bool(self._fs.exists(f"{self._root}/{_name_folder(digest)}{_MARK}"))

    def list_names(self) -> set[str]:
        """Names of the folders that are there as a whole, as ``name_artifact`` gives them."""
        with self._asking():
            try:
                paths = self._fs.ls(f"{self._root}/artifacts", detail=False)
            except FileNotFoundError:
                return set()
        names = {str(path).rstrip("/").rpartition("/")[2] for path in paths}
        return {name.removesuffix(_MARK) for name in names if name.endswith(_MARK)}

    def put_folder(self, source: Path, digest: str) -> None:
        """Copy a folder there, unless it is there as a whole."""
        if self.has_folder(digest):
            return
        there = _name_folder(digest)
        files = sorted(path for path in source.rglob("*") if path.is_file())
        names = [path.relative_to(source).as_posix() for path in files]
        with self._asking():
            for path, name in zip(files, names, strict=True):
                self._fs.put_file(str(path), self._make_path(f"{there}/{name}"))
            self._fs.pipe_file(self._make_path(f"{there}{_MARK}"), json.dumps(names).encode())

    def fetch_folder(self, digest: str, target: Path) -> ArtifactState:
        """Copy a folder to ``target`` in one step, if it is what was put there."""
        there = _name_folder(digest)
        if (listed := self.read_file(f"{there}{_MARK}")) is None:
            return "missing"
        with self._asking():
            try:
                names = _read_names(listed)
                with open_draft_folder(target) as draft:
                    for name in names:
                        path = draft / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        self._fs.get_file(f"{self._root}/{there}/{name}", str(path))
                    if hash_folder(draft) != digest:
                        raise _ChangedError("its content has another hash")
            except (FileNotFoundError, _ChangedError):
                return "changed"
        return "whole"

    def check_folder(self, digest: str) -> ArtifactState:
        """Whether a folder is what was put there. Reads all of it."""
        with tempfile.TemporaryDirectory() as scratch:
            return self.fetch_folder(digest, Path(scratch) / name_artifact(digest))

    def drop_folder(self, digest: str) -> None:
        """Take a folder's mark away: it is put there again by whoever has it."""
        with self._asking():
            if self._fs.exists(path := f"{self._root}/{_name_folder(digest)}{_MARK}"):
                self._fs.rm_file(path)

    # --- inside ----------------------------------------------------------------------------

    def _make_path(self, name: str) -> str:
        """Where a file is to be written; the folders above it are made."""
        path = f"{self._root}/{name}"
        if self._has_folders:  # an object store would make a bucket of a mistyped name
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        return path

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
                where=self.shown,
                next_step="look at the address, and at this machine's credentials for it; what is "
                "done is kept, and the same command goes on",
            ) from None


class _ChangedError(ValueError):
    """What came is not what was put there."""


def _name_folder(digest: str) -> str:
    return f"artifacts/{name_artifact(digest)}"


def _read_names(listed: bytes) -> list[str]:
    """The files of a folder; whoever writes to the store may have listed anything.

    Raises:
        _ChangedError: the list is none, or names a path outside of the folder.
    """
    try:
        names = json.loads(listed)
    except ValueError:
        raise _ChangedError("a list of files cannot be read") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _ChangedError("a list of files cannot be read")
    for name in names:
        parts = re.split(r"[/\\]", name)
        if {"", ".", ".."} & {*parts} or ":" in name or "\0" in name:
            raise _ChangedError(f"a list of files names {name!r}, which lies outside of its folder")
    return names
