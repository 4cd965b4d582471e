"""Where fetched and converted models lie: one folder a model, one process at a time on each."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from residency.errors import FetchError
from residency.files.atomic_write import write_json
from residency.model.checksums import MANIFEST, describe_files, model_files
from residency.model.gguf import CONVERSION

CACHE_VARIABLE = "RESIDENCY_CACHE"


def cache_dir() -> Path:
    """Where models lie: ``$RESIDENCY_CACHE``, or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE, "")
    return Path(named) if named else platformdirs.user_cache_path("residency")


def write_manifest(folder: Path, name: str, source: str, gguf_sha256: str, note: str) -> None:
    """Name, identity and checksums beside a converted model."""
    write_json(
        folder / MANIFEST,
        {
            "name": name,
            "identity": f"{name}@{source}:sha256:{gguf_sha256}+c{CONVERSION}",
            "source": source,
            "note": note,
            "files": describe_files(model_files(folder)),
        },
        sort_keys=True,
    )


@contextlib.contextmanager
def lock_folder(final: Path) -> Iterator[None]:
    """One process at a time works on ``final``; the lock ends with its process."""
    from filelock import FileLock

    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(final.with_name(f".{final.name}.lock"))
        lock.acquire()
    except OSError as error:
        # Nothing to write when the model is already there: a read-only cache serves it.
        if (final / MANIFEST).exists():
            yield
            return
        raise _not_writable(final.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def make_work_folder(final: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".partial-{final.name}-", dir=final.parent))
    except OSError as error:
        raise _not_writable(final.parent, error) from error


def _not_writable(folder: Path, error: OSError) -> FetchError:
    return FetchError(
        f"the model cache cannot be written ({error.strerror or error})",
        where=str(folder),
        next_step=f"name a folder that you may write to in the variable {CACHE_VARIABLE}",
    )


def remove_leftovers(final: Path) -> None:
    """What a killed process left; under the lock nobody else is using it."""
    for leftover in final.parent.glob(f".partial-{final.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
