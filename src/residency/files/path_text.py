"""Paths that are no text: names of files may hold any bytes, settings and stores hold UTF-8."""

from __future__ import annotations

from pathlib import Path

from residency.errors import ConfigError


def check_path_text(path: Path | str) -> None:
    """Nothing where a path is text.

    Raises:
        ConfigError: its name holds bytes that are not UTF-8.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "the name holds bytes that are not UTF-8, which no file of settings can hold",
            where=text,
            next_step="rename it",
        ) from None
