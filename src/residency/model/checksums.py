"""Checksums of model folders: cheap on every load, full when something has changed.

A folder that we made holds a manifest with the size, SHA-256 and modification time of each file.
Loading compares size and time; a file whose time differs is hashed again. Users' folders get
no file of ours: what was hashed is remembered in the cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from residency.errors import ModelError
from residency.files.atomic_write import write_json
from residency.files.content_hash import hash_file_hex

MANIFEST = "residency-base.json"

# What determines a model's outputs. README, optimizer states and the like do not.
_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt")


def model_files(folder: Path) -> list[Path]:
    """The files of a Hugging Face folder that determine the model's outputs, by name."""
    paths = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in paths if path.name != MANIFEST)


def describe_files(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """File name → size in bytes, SHA-256, modification time in nanoseconds."""
    out: dict[str, dict[str, Any]] = {}
    for path in files:
        stat = path.stat()
        out[path.name] = {
            "bytes": stat.st_size,
            "sha256": hash_file_hex(path),
            "mtime_ns": stat.st_mtime_ns,
        }
    return out


def combined_sha256(files: Mapping[str, Mapping[str, Any]]) -> str:
    """One SHA-256 of names and contents, whatever the times."""
    text = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that we made.

    Raises:
        ModelError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(raw, dict) and isinstance(raw["files"], dict) and raw["identity"]:
            return raw
    except (OSError, ValueError, KeyError):
        pass
    raise ModelError("the model's manifest is missing or damaged", where=str(path))


def verify_folder(folder: Path, *, full: bool = False) -> dict[str, Any]:
    """Check a folder against its manifest and return the manifest.

    A file of the same size and time is taken as unchanged unless ``full``; any other is hashed.

    Raises:
        ModelError: a file is missing, cut short, or changed.
    """
    manifest = read_manifest(folder)
    touched = False
    for name, known in manifest["files"].items():
        path = folder / name
        try:
            stat = path.stat()
        except OSError:
            raise ModelError(f"the model's file {name} is missing", where=str(folder)) from None
        if stat.st_size != known["bytes"]:
            raise ModelError(
                f"the model's file has {stat.st_size} bytes where {known['bytes']} were written",
                where=str(path),
            )
        if full or stat.st_mtime_ns != known.get("mtime_ns"):
            if hash_file_hex(path) != known["sha256"]:
                raise ModelError(
                    "the model's file was changed: its checksum differs", where=str(path)
                )
            touched |= stat.st_mtime_ns != known.get("mtime_ns")
            known["mtime_ns"] = stat.st_mtime_ns
    if touched:
        # A copied folder has new times; remember them so that the next load is cheap again.
        # A folder that we may not write to is simply hashed each time.
        with contextlib.suppress(OSError):
            write_json(folder / MANIFEST, manifest, sort_keys=True)
    return manifest


def folder_sha256(folder: Path, remembered: Path, *, full: bool = False) -> str:
    """SHA-256 over a user's model folder; ``remembered`` is the folder of what was hashed before.

    Raises:
        ModelError: the folder holds no safetensors weights.
    """
    files = model_files(folder)
    stamps = {p.name: [p.stat().st_size, p.stat().st_mtime_ns] for p in files}
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    note = remembered / f"{key}.json"
    if not full:
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["stamps"] == stamps:
                return str(known["sha256"])
    digest = combined_sha256(describe_files(files))
    with contextlib.suppress(OSError):
        note_body = {"folder": str(folder.resolve()), "stamps": stamps, "sha256": digest}
        write_json(note, note_body, sort_keys=True)
    return digest
