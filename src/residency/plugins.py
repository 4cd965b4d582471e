"""What other packages and a project's files add: detectors, rules, layouts, selectors, tasks.

Two ways in. A package names an entry point in one of ``GROUPS``; a project names Python files in
``[project] plugins``, which call ``register_plugin``. Both are the user's code: it runs with
the user's rights (SECURITY.md).

What a file registers belongs to the projects that name this file: two projects in one process (a
notebook, the workbench) do not see each other's plugins (``use_plugin_files``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, Literal, get_args

from residency.errors import ConfigError

Group = Literal["detectors", "rules", "layouts", "selectors", "benchmarks"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Entry points are named ``residency.`` and one of these, e.g. ``residency.detectors``."""

Registered = dict[Group, dict[str, Any]]


def _make_table() -> Registered:
    return {group: {} for group in GROUPS}


@dataclass
class PluginFile:
    """A plugin file as it was run: what it registered, and the text that ran.

    The text is stored since a project's results hang on what ran, and not on what the file says now.
    """

    path: Path
    text: str
    module: str
    registered: Registered = field(default_factory=_make_table)


_registered: Registered = _make_table()
"""What was registered outside of any plugin file: by a script or a notebook, for all projects."""

_files: dict[Path, PluginFile] = {}
_running: ContextVar[PluginFile | None] = ContextVar("running", default=None)
_in_use: ContextVar[tuple[PluginFile, ...] | None] = ContextVar("in_use", default=None)


def register_plugin(group: Group, name: str, plugin: Any) -> None:
    """Add a plugin from Python: for the projects that name the plugin file that calls this, or for
    every project when no plugin file does. The same name again replaces the first.

    Raises:
        ConfigError: there is no such group.
    """
    if group not in _registered:
        raise ConfigError(
            f"no plugins of the kind {group!r}",
            where="register_plugin",
            next_step=f"one of: {', '.join(GROUPS)}",
        )
    file = _running.get()
    (file.registered if file else _registered)[group][name] = plugin


def find_plugins(group: Group) -> dict[str, Any]:
    """Plugins of a group by name: of installed packages, of this process, of the files in use.

    Outside of ``use_plugin_files`` those are all files that were run here: a command works on one
    project alone.

    Raises:
        ConfigError: a package's entry point cannot be imported.
    """
    plugins = _load_entry_points(group) | _registered[group]
    files = _in_use.get()
    for file in _files.values() if files is None else files:
        plugins |= file.registered[group]
    return plugins


@contextmanager
def use_plugin_files(files: Sequence[PluginFile]) -> Iterator[None]:
    """Within it, in this thread, the plugins of these files alone stand beside the packages'."""
    token = _in_use.set(tuple(files))
    try:
        yield
    finally:
        _in_use.reset(token)


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


def load_plugin_file(path: Path) -> PluginFile:
    """Run a project's plugin file: once a process, and again when its text has changed.

    Raises:
        ConfigError: the file is not there or cannot be read, or it raises.
    """
    path = path.resolve()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the plugin file cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}",
            where=str(path),
            next_step="correct `plugins` under [project]",
        ) from None
    known = _files.get(path)
    if known is None or known.text != text:
        known = _files[path] = _run_file(path, text)
    return known


def _run_file(path: Path, text: str) -> PluginFile:
    name = f"residency_plugin_{len(_files)}_{path.stem}"
    spec = spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None  # only a package without a loader has none
    module = module_from_spec(spec)
    module.__file__ = str(path)
    before = sys.modules.get(name)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look there
    file = PluginFile(path, text, name)
    token = _running.set(file)
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ConfigError(
            f"the plugin file failed: {type(error).__name__}: {error}",
            where=str(path),
            next_step="mend it, or take it out of `plugins` under [project]",
        ) from error
    finally:
        _running.reset(token)
    return file
