"""Python files of a project that add detectors, rules, layouts, selectors or benchmark tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from residency.config.settings import CONFIG_NAME
from residency.errors import ConfigError
from residency.plugins import load_plugin_file


def load_project_plugins(root: Path, files: Sequence[str]) -> None:
    """Run the files that ``[project] plugins`` names, each once a process.

    Raises:
        ConfigError: a file is not there, lies outside of the project, or raises.
    """
    for file in files:
        load_plugin_file(_find_plugin(root, file))


def read_plugin(root: Path, file: str) -> str:
    """A plugin's text: a changed plugin is another run."""
    return _find_plugin(root, file).read_text(encoding="utf-8")


def _find_plugin(root: Path, file: str) -> Path:
    path = (root / file).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ConfigError(
            f"the plugin {file!r} lies outside of the project's folder",
            where=f"{CONFIG_NAME} [project] plugins",
            next_step="copy it into the project, or install it as a package with an entry point",
        )
    return path
