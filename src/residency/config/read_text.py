"""Text files that the user names, read whole: settings, suites, templates, plugins."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

LARGEST_FILE = 1 << 26
"""Bytes of the largest of them; a device such as ``/dev/zero`` never ends."""


def read_text_file(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be read, or is larger than such files are. UnicodeDecodeError.
    """
    if stat.S_ISFIFO(path.stat().st_mode) and path.parts[:2] not in (("/", "dev"), ("/", "proc")):
        raise OSError(errno.EINVAL, "a pipe, where a file is expected", str(path))
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"more than {LARGEST_FILE >> 20} MB", str(path))
    return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
