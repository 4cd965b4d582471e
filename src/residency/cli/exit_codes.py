"""The exit code of a command that prints what it found, and then fails by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def exit_with(code: int) -> Iterator[None]:
    """Print inside; the command ends with ``code``, also where the reader (``head``) has gone.

    0 changes nothing. Otherwise a pipe would open a gate that is closed.
    """
    try:
        yield
    except BrokenPipeError as error:
        if not code:
            raise
        raise typer.Exit(code) from error
    if code:
        raise typer.Exit(code)
