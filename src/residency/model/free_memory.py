"""How much memory this process may still take, and giving back what it took and no longer needs."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import psutil

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Control groups, version 2 and 1: the folder, files of limit and use, and the use that can be given back."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _KEPT = -1, -3, 1 << 30
"""Options of glibc's ``mallopt``, and the bytes that both get: blocks up to there are kept."""


def measure_free_memory(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Bytes that can be taken without swapping; limits of a container, and of a group in it (a job of
    Slurm's or systemd's), count where there are some."""
    free = int(psutil.virtual_memory().available)
    for folder in _list_groups(cgroups, membership):
        for _, limit_file, use_file, given_back in _LIMITS:
            try:
                limit = int((folder / limit_file).read_text())  # "max" where there is none
                use = int((folder / use_file).read_text())
                text = (folder / "memory.stat").read_text()
                stat = dict(line.split() for line in text.splitlines())
            except (OSError, ValueError):
                continue
            free = min(free, max(0, limit - use + int(stat.get(given_back, 0))))
    return free


def _list_groups(cgroups: Path, membership: Path) -> list[Path]:
    """Folders of this process's control groups of memory, and of the groups that they lie in."""
    folders = [cgroups / folder for folder, *_ in _LIMITS]
    try:
        lines = membership.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, _, group_of = line.partition(":")
        controllers, _, inside = group_of.partition(":")
        if not controllers or "memory" in controllers.split(","):
            top = cgroups / controllers
            group = top / inside.lstrip("/")
            folders += [p for p in (group, *group.parents) if top in p.parents]
    return folders


def release_memory() -> None:
    """Give freed memory back to the machine, after a training or a round of answers.

    glibc keeps freed tensors of up to 32 MB for itself (half a gigabyte after a training of the default
    base); other C libraries are left alone. Milliseconds: Python's garbage is not collected.
    """
    trim = _find_function("malloc_trim")
    if trim is not None:
        trim(0)


def keep_memory() -> None:
    """From now on freed memory stays with this process for its next tensors, large ones too;
    ``release_memory`` gives back what lies free at that moment.

    glibc takes tensors above 32 MB from the machine each time anew and zeroed, page by page: a seventh of a
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
