"""Names in the settings that stand for something registered: layouts, detectors, benchmark tasks.

What is registered is known when a project is opened, since its plugins may add to it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from residency.config.find_line import find_line
from residency.config.settings import CONFIG_NAME, Config
from residency.data.reading.layouts.known_layouts import find_layouts
from residency.diagnose.detectors.registry import find_detectors
from residency.errors import ConfigError, SuiteError
from residency.evaluate.benchmarks.task_registry import find_tasks


def check_names(root: Path, config: Config) -> None:
    """Every name in the settings is known; nothing of the data is read before.

    Raises:
        ConfigError: one is not; with its line and the nearest name.
    """
    if config.data.format != "auto":
        _check(root, ("data", "format"), [config.data.format], ["auto", *find_layouts()])
    detectors = list(find_detectors())
    _check(root, ("diagnose", "detectors"), config.diagnose.detectors, detectors)
    for task in config.rounds.guard:
        try:
            find_tasks([task], folder=root)
        except SuiteError as error:
            raise ConfigError(
                error.what, where=_place(root, ("rounds", "guard")), next_step=error.next_step
            ) from None


def _check(root: Path, path: tuple[str, str], names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(
            f"{'.'.join(path)}: unknown name {name!r}{guess}",
            where=_place(root, path),
            next_step=f"known: {', '.join(known)}",
        )


def _place(root: Path, path: tuple[str, str]) -> str:
    file = root / CONFIG_NAME
    line = find_line(file.read_text(encoding="utf-8-sig"), path)
    return f"{file}:{line}" if line else f"flags: {'.'.join(path)}"
