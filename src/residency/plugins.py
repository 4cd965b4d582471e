"""What other packages and a project's own files add: detectors, rules, layouts, selectors, tasks.

Two ways in. A package names an entry point in one of ``GROUPS``; a project names Python files in
``[project] plugins``, which call ``register_plugin``. Both are the user's own code: it runs with
the user's rights (SECURITY.md).
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, get_args

from residency.errors import ConfigError

Group = Literal["detectors", "rules", "layouts", "selectors", "benchmarks"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Entry points are named ``residency.`` and one of these, e.g. ``residency.detectors``."""

_registered: dict[Group, dict[str, Any]] = {group: {} for group in GROUPS}
_loaded_files: dict[Path, str] = {}


def register_plugin(group: Group, name: str, plugin: Any) -> None:
    """Add a plugin from Python. The same name again takes the place of the first.

    Raises:
        ConfigError: there is no such group.
    """
    if group not in _registered:
        raise ConfigError(
            f"no plugins of the kind {group!r}",
            where="register_plugin",
            next_step=f"one of: {', '.join(GROUPS)}",
        )
    _registered[group][name] = plugin


def find_plugins(group: Group) -> dict[str, Any]:
    """Plugins of a group by name: those of installed packages, then those registered here.

    Raises:
        ConfigError: a package's entry point cannot be imported.
    """
    return _load_entry_points(group) | _registered[group]


@cache
def _load_entry_points(group: Group) -> dict[str, Any]:
    """Looked up once a process: it takes every installed package's metadata."""
    plugins: dict[str, Any] = {}
    for entry in entry_points(group=f"residency.{group}"):
        try:
            plugins[entry.name] = entry.load()
        except Exception as error:
            raise ConfigError(
                f"the plugin {entry.name!r} cannot be imported: {type(error).__name__}: {error}",
                where=f"entry point residency.{group}: {entry.value}",
                next_step="mend or remove the package that brings it",
            ) from error
    return plugins


def load_plugin_file(path: Path) -> None:
    """Run a project's plugin file, once a process.

    Raises:
        ConfigError: the file is not there, or it raises.
    """
    path = path.resolve()
    if path in _loaded_files:
        return
    name = f"residency_plugin_{len(_loaded_files)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(
            "no such plugin file", where=str(path), next_step="correct `plugins` under [project]"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _loaded_files[path] = name
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name], _loaded_files[path]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ConfigError(
            f"the plugin file failed: {type(error).__name__}: {error}",
            where=str(path),
            next_step="mend it, or take it out of `plugins` under [project]",
        ) from error
