"""How much memory this process may still take: the machine's, or its container's where that is less."""

from __future__ import annotations

from pathlib import Path

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
