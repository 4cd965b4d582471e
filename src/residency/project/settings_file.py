"""Where a project is, and what its settings file says; loads nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residency.config.settings import CONFIG_NAME, Config, load_config, parse_config, read_toml
from residency.errors import ConfigError
from residency.files.path_text import check_path_text


def find_project_root(path: Path) -> Path:
    """The nearest folder at or above ``path`` that holds a ``residency.toml``.

    Raises:
        ConfigError: there is none, it is a folder, or its name is not UTF-8.
    """
    if not path.exists():
        raise ConfigError(
            "no such folder", where=str(path), next_step="residency init DIR makes a project"
        )
    start = path.resolve()
    check_path_text(start)
    for folder in (start, *start.parents):
        file = folder / CONFIG_NAME
        if file.is_file():
            return folder
        if file.is_dir():
            read_toml(file)  # says that a file is expected
    raise ConfigError(
        f"no {CONFIG_NAME} here or above",
        where=str(path),
        next_step="make a project with: residency init DIR --example tickets",
    )


def read_config(root: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The project's settings with dotted overrides, e.g. ``{"model.base": "tiny"}``.

    Raises:
        ConfigError: a setting is unknown or wrong.
    """
    if not overrides:
        return load_config(root / CONFIG_NAME)
    raw, text = read_toml(root / CONFIG_NAME)
    parse_config(raw, where=str(root / CONFIG_NAME), text=text)  # the file's mistakes are no flag's
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        table = raw
        for part in path:
            table = table.setdefault(part, {})
        table[last] = name_base_from(root, value) if dotted == "model.base" else value
    return parse_config(raw, where="flags")


def name_base_from(root: Path, base: str) -> str:
    """The name of a base as the project's settings would have it, from where its paths begin.

    A file or folder that is named from the folder where the user is, and is not one of the project,
    is named anew, so that the run goes on wherever its next command is called.
    """
    from residency.model.base_model import KNOWN_BASES

    path = Path(base).expanduser()
    if not base or base in KNOWN_BASES or (root / base).exists() or not path.exists():
        return base
    if path.is_absolute():
        return str(path)
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()
