"""SHA-256 of files and folders. The values are stored: what each covers must never change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_file(path: Path) -> str:
    """``sha256:`` and the hex digest of the bytes on disk."""
    return f"sha256:{hash_file_hex(path)}"


def hash_file_hex(path: Path) -> str:
    """Hex SHA-256 of the bytes on disk, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_folder(path: Path) -> str:
    """``sha256:`` and the digest over every file's relative name and content, in name order."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as handle:
            total.update(hashlib.file_digest(handle, "sha256").digest())
    return "sha256:" + total.hexdigest()


def hash_named_files(files: Iterable[Path]) -> str:
    """``sha256:`` over names and bytes of some files, in the order given."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return "sha256:" + digest.hexdigest()
