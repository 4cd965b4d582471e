"""The base of the run that was opened last, where ``--base`` chose it."""

from __future__ import annotations

from pathlib import Path

from residency.config.settings import Config
from residency.errors import StoreError
from residency.project.settings_file import read_config
from residency.store.record_kind import RecordKind
from residency.store.store import Store


def read_config_as_opened(root: Path) -> Config:
    """The settings of a project, with the base of the run that was opened last."""
    config = read_config(root)
    base = find_opened_base(root, config)
    return read_config(root, {"model.base": base}) if base else config


def find_opened_base(root: Path, config: Config) -> str | None:
    """The base that the last run was started with instead of the one in the settings.

    None where the run used the settings' base, or the settings name another one since.
    """
    try:
        store = Store(root, config.project.store, create=False)
    except StoreError:
        return None  # nothing was run yet, or the command that needs the store says what is wrong
    try:
        run = store.latest_run()
        opened = store.records(RecordKind.RUN_OPENED, run) if run else []
    except StoreError:
        return None
    finally:
        store.close()
    if not opened or opened[-1].get("base_in_settings") != config.model.base:
        return None
    base = str(opened[-1].get("base", config.model.base))
    return base if base != config.model.base else None
