"""An export as a separate process, started from a page and watched through its records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from residency.commands.detached_process import (
    end_command,
    find_command,
    read_last_words,
    start_command,
)
from residency.commands.run_apart import read_run_state
from residency.errors import ConfigError, StoreError, StoreLockedError
from residency.export.export_formats import FORMATS, QUANTISATIONS
from residency.store.store import FOLDER

EXPORTS = "exports"
"""The folder of a project into which pages export."""
NOTE_FILE, LOG_FILE = "export.json", "export.log"


@dataclass(frozen=True)
class ExportOptions:
    """What a page asks for; ``folder`` is a name within the project's folder of exports."""

    model: str
    export_format: str
    folder: str
    quantisations: Sequence[str] = ()
    margin: float = 5.0
    grade: bool = True
    force: bool = False

    def write_words(self, root: Path) -> list[str]:
        """The words of the command line.

        Raises:
            ConfigError: an unknown format or quantisation, or a name that is none.
        """
        if self.export_format not in FORMATS or set(self.quantisations) - set(QUANTISATIONS):
            raise ConfigError("no such format", next_step=f"choose {', '.join(FORMATS)}")
        if not re.fullmatch(r"\w[\w.-]{0,80}", self.folder):
            raise ConfigError(
                "the folder has no name, or one with signs that make trouble",
                where=self.folder[:80],
                next_step="use letters, digits, - and _",
            )
        words = ["export", str(root), "--model", self.model, "--format", self.export_format]
        if self.export_format in ("gguf", "ollama"):
            if not self.quantisations:
                raise ConfigError("no quantisation is chosen", next_step="choose one, e.g. q8_0")
            words += ["--quantise", ",".join(self.quantisations)]
        words += ["--out", str(root / EXPORTS / self.folder), "--margin", f"{self.margin:g}"]
        words += [] if self.grade else ["--no-grade"]
        return [*words, *(["--force"] if self.force else [])]


def start_export(root: Path, options: ExportOptions) -> int:
    """Start ``residency export`` as a separate process; its id.

    Raises:
        ConfigError: an option is none. UserError: something lies there already.
        StoreLockedError: a run or an export goes on. StoreError: it cannot be started.
    """
    from residency.files.own_folder import check_replaceable

    words = options.write_words(root)
    folder = root / FOLDER
    if find_export(root) or read_run_state(root).is_running:
        raise StoreLockedError(
            "a run or an export goes on, and one process writes at a time",
            next_step="wait until it ends",
        )
    check_replaceable(root / EXPORTS / options.folder, force=options.force)
    (root / EXPORTS).mkdir(exist_ok=True)
    return start_command(
        words, root, log=folder / LOG_FILE, note=folder / NOTE_FILE, errors_only=True
    )


def find_export(root: Path) -> int:
    """The process of a page's export while it goes on; 0 otherwise."""
    return find_command(root / FOLDER / NOTE_FILE)


def stop_export(root: Path) -> int:
    """End a page's export; nothing of its folder stays.

    Raises:
        StoreError: none goes on.
    """
    process = end_command(root / FOLDER / NOTE_FILE)
    if not process:
        raise StoreError("no export goes on here", next_step="nothing has to be stopped")
    return process


def read_export_words(root: Path) -> str:
    """The last lines of what the export said."""
    return read_last_words(root / FOLDER / LOG_FILE)
