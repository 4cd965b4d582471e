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
    trim = _find_trim()
    if trim is not None:
        trim(0)


@cache
def _find_trim() -> Any:
    """glibc's ``malloc_trim``; None for other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
