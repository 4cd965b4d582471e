"""Python files of a project that add detectors, rules, layouts, selectors or benchmark tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from residency.config.settings import CONFIG_NAME
from residency.errors import ConfigError
from residency.plugins import PluginFile, load_plugin_file, use_plugin_files

if TYPE_CHECKING:
    from residency.project.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound="Workspace")


def load_project_plugins(root: Path, files: Sequence[str]) -> tuple[PluginFile, ...]:
    """Run the files that ``[project] plugins`` names, each once a process and text.

    Raises:
        ConfigError: a file is not there, lies outside of the project, or raises.
    """
    return tuple(load_plugin_file(_find_plugin(root, file)) for file in files)


def with_own_plugins(method: Callable[P, R]) -> Callable[P, R]:
    """A method of an opened project that finds this project's plugins, and no other one's."""

    @wraps(method)
    def act(*args: P.args, **kwargs: P.kwargs) -> R:
        ws: Any = args[0]
        with use_plugin_files(ws.plugin_files):
            return method(*args, **kwargs)

    return act


def scope_plugins(cls: type[T]) -> type[T]:
    """Class decorator: ``with_own_plugins`` on every public method that the class defines."""
    for name, member in list(vars(cls).items()):
        if isfunction(member) and not name.startswith("_"):
            setattr(cls, name, with_own_plugins(member))
    return cls


def _find_plugin(root: Path, file: str) -> Path:
    path = (root / file).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ConfigError(
            f"the plugin {file!r} lies outside of the project's folder",
            where=f"{CONFIG_NAME} [project] plugins",
            next_step="copy it into the project, or install it as a package with an entry point",
        )
    return path
