"""Line files that we write ourselves: one JSON object a line, divided at ``\\n`` and nothing else.

``str.splitlines`` also divides at U+0085, U+2028, form feeds and others, which JSON may hold
unescaped inside a string.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def split_lines(text: str) -> list[str]:
    """The lines of a text, divided at ``\\n`` (and ``\\r\\n``) alone, without their ends."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def append_json_line(path: Path, row: Mapping[str, Any]) -> None:
    """Add one object as a new line. A last line that a killed process cut off is taken out
    first (nothing could read it), and one that only lacks its end is given it.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = _encode_row(row)
    with path.open("a+b") as handle:
        end = handle.seek(0, 2)
        if end:
            handle.seek(end - 1)
            if handle.read(1) != b"\n":
                _mend_end(handle, end)
        handle.write(line)
        handle.flush()


def _encode_row(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can escape it, UTF-8 cannot hold it
        return json.dumps(row).encode() + b"\n"


def _mend_end(handle: Any, end: int) -> None:
    """End the last line where it is whole JSON, else take it out."""
    handle.seek(0)
    start = handle.read(end).rfind(b"\n") + 1
    handle.seek(start)
    try:
        json.loads(handle.read(end - start))
    except (ValueError, RecursionError):
        handle.truncate(start)
        return
    handle.seek(0, 2)
    handle.write(b"\n")
