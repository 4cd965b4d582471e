"""Git LFS pointers: small text files that stand where a clone did not bring the file itself."""

from __future__ import annotations

from pathlib import Path

BEGINNING = b"version https://git-lfs.github.com/spec/"
"""How every pointer begins (Git LFS specification, version 1)."""

NEXT_STEP = "run `git lfs pull` in the clone that it comes from, or download the file itself"


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is a pointer. False for what cannot be read."""
    try:
        with path.open("rb") as probe:
            return probe.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False
