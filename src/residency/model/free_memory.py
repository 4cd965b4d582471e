"""How much memory this process may still take, and giving back what it took and no longer needs."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import psutil

CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Files of control groups, version 2 and 1: limit, use, and where the use that can be given back stands."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _KEPT = -1, -3, 1 << 30
"""Options of glibc's ``mallopt``, and the bytes that both get: blocks up to there are kept."""


def measure_free_memory(cgroups: Path = CGROUPS) -> int:
    """Bytes that can be taken without swapping; a container's limit counts where there is one."""
    free = int(psutil.virtual_memory().available)
    for limit_file, use_file, stat_file, given_back in _LIMITS:
        try:
            limit = int((cgroups / limit_file).read_text())  # "max" where there is none
            use = int((cgroups / use_file).read_text())
            stat = dict(line.split() for line in (cgroups / stat_file).read_text().splitlines())
        except (OSError, ValueError):
            continue
        free = min(free, max(0, limit - use + int(stat.get(given_back, 0))))
    return free


def release_memory() -> None:
    """Give freed memory back to the machine, after a training or a round of answers.

    glibc keeps freed tensors of up to 32 MB for itself (half a gigabyte after a training of the default
    base); other C libraries are left alone. Milliseconds: Python's garbage is not collected.
    """
    trim = _find_function("malloc_trim")
    if trim is not None:
        trim(0)


def keep_memory() -> None:
    """Let freed memory be used again by this process, large tensors too, until ``release_memory``.

    glibc takes tensors above 32 MB from the machine each time anew and zeroed, page by page: a twentieth of a
    full training's step with a vocabulary of 32 000. Other C libraries are left alone.
    """
    mallopt = _find_function("mallopt")
    if mallopt is not None:
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(option, _KEPT)


@cache
def _find_function(name: str) -> Any:
    """A function of glibc's; None for other C libraries."""
    try:
        libc = ctypes.CDLL(None)
        return getattr(libc, name) if hasattr(libc, "gnu_get_libc_version") else None
    except (AttributeError, OSError, TypeError):
        return None
