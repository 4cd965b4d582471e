"""What the run that was opened last was started with, where options chose it and not the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residency.config.settings import Config
from residency.errors import StoreError
from residency.project.settings_file import read_config
from residency.store.record_kind import RecordKind
from residency.store.store import Store

RUN_OPTIONS = {
    "rounds.max": "--rounds",
    "project.seed": "--seed",
    "target.control": "--control",
    "train.metric": "--metric",
}
"""Settings that options of ``residency run`` choose beside the base; each makes another run."""


def read_config_as_opened(root: Path) -> Config:
    """The settings of a project, with what the run that was opened last was started with."""
    config = read_config(root)
    chosen = find_opened_settings(root, config)
    return read_config(root, chosen) if chosen else config


def find_opened_settings(root: Path, config: Config) -> dict[str, Any]:
    """Base and options, by dotted name, that the last run was started with instead of the settings'.

    What the settings name otherwise since then is left out.
    """
    opened = _read_opened(root, config)
    chosen = {
        name: value
        for name, (value, in_settings) in opened.get("options", {}).items()
        if name in RUN_OPTIONS and in_settings == read_setting(config, name)
    }
    base = str(opened.get("base", config.model.base))
    if opened.get("base_in_settings") == config.model.base and base != config.model.base:
        chosen["model.base"] = base
    return chosen


def is_opened_full(root: Path, config: Config) -> bool:
    """Whether the last run was started with ``--full``: its rows are all rows, whatever ``data.limit`` says."""
    return bool(_read_opened(root, config).get("full"))


def find_opened_base(root: Path, config: Config) -> str | None:
    """The base that the last run was started with instead of the one in the settings.

    None where the run used the settings' base, or the settings name another one since.
    """
    return find_opened_settings(root, config).get("model.base")


def write_run_options(chosen: Mapping[str, Any]) -> list[str]:
    """Options of ``residency run`` that choose these settings; ``full`` among them stands for ``--full``."""
    words = ["--base", str(chosen["model.base"])] if "model.base" in chosen else []
    for name, option in RUN_OPTIONS.items():
        value = chosen.get(name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif value is not None:
            words += [option, str(value)]
    return [*words, "--full"] if chosen.get("full") else words


def list_run_options(opened: Mapping[str, Any]) -> dict[str, Any]:
    """Base and options that a run was opened with, from its record; by dotted name, and ``full``."""
    chosen = {name: pair[0] for name, pair in opened.get("options", {}).items()}
    chosen["full"] = bool(opened.get("full"))
    base = opened.get("base", "")
    return chosen | ({"model.base": base} if base != opened.get("base_in_settings", base) else {})


def list_chosen_options(config: Config, settings: Config) -> dict[str, list[Any]]:
    """Where the settings in use differ from those of the file: name → what is used, what the file says."""
    pairs = {
        name: [read_setting(config, name), read_setting(settings, name)] for name in RUN_OPTIONS
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def read_setting(config: Config, name: str) -> Any:
    """A setting by its dotted name."""
    table, _, key = name.partition(".")
    return getattr(getattr(config, table), key)


def _read_opened(root: Path, config: Config) -> dict[str, Any]:
    try:
        store = Store(root, config.project.store, create=False)
    except StoreError:
        return {}  # nothing was run yet, or the command that needs the store says what is wrong
    try:
        run = store.latest_run()
        opened = store.records(RecordKind.RUN_OPENED, run) if run else []
    except StoreError:
        return {}
    finally:
        store.close()
    return dict(opened[-1]) if opened else {}
