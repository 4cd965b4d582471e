"""Texts that people type or paste into a terminal, of one line or of many."""

from __future__ import annotations

import contextlib
import importlib
import select
import sys
from collections.abc import Collection

from rich.text import Text

from residency.cli.terminal import console

_WAIT = 0.05
"""Seconds within which the next line of a paste is there; nobody types one so fast."""


def read_typed_text(prompt: str, keys: Collection[str] = ()) -> str:
    """A line that a person typed, or all lines of what they pasted.

    Most terminals mark a paste, and ``readline`` hands it over whole. Otherwise it is a line behind which
    others wait already; it may have no last line break, so an empty line ends it.

    Args:
        keys: lines that are commands; what waits behind one is the next command.

    Raises:
        EOFError, KeyboardInterrupt: as ``input`` does.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        with contextlib.suppress(ImportError):  # it takes a whole paste where the terminal marks it
            importlib.import_module("readline")
    lines = [console.input(prompt)]
    if lines[0].strip() in keys or not _do_lines_wait():
        return lines[0]
    while True:
        while _do_lines_wait():
            lines.append(console.input(""))
        console.print(
            Text(f"One text of {len(lines)} lines so far. An empty line ends it.", style="dim")
        )
        typed = console.input("… ")
        if not typed and not _do_lines_wait():
            return "\n".join(lines).strip("\n")
        lines.append(typed)


def _do_lines_wait() -> bool:
    """Whether a terminal holds another line already; False where nobody types."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.kbhit()
    return bool(select.select([sys.stdin], [], [], _WAIT)[0])
