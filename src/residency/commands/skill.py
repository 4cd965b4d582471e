"""``residency skill``: the page that tells a coding assistant how to use Residency."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from residency.errors import UserError
from residency.files.atomic_write import write_text


def read_skill() -> str:
    """The page, Markdown with front matter (name and description)."""
    return (files("residency.commands") / "SKILL.md").read_text(encoding="utf-8")


def write_skill(out: Path, *, force: bool = False) -> Path:
    """Write the page to a file, or as ``SKILL.md`` into a folder; gives the file.

    Raises:
        UserError: a file is there, and ``force`` is not given.
    """
    path = out / "SKILL.md" if out.is_dir() else out
    if path.exists() and not force:
        raise UserError(
            "this file is there already",
            where=str(path),
            next_step="add the text to it, or --force",
        )
    write_text(path, read_skill())
    return path
