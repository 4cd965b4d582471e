"""Failed writes of safetensors as the operating system's error."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError


@contextlib.contextmanager
def raise_os_errors(where: Path) -> Iterator[None]:
    """Inside, a write that safetensors could not finish raises the OSError behind it.

    safetensors 0.8 raises another class for a full disk, with the system's number in its
    text alone, so that nobody who expects an OSError sees it.
    """
    try:
        yield
    except SafetensorError as error:
        match = re.search(r"\(os error (\d+)\)", str(error))
        if match is None:
            raise
        number = int(match[1])
        raise OSError(number, os.strerror(number), str(where)) from error
