"""``residency search``: better settings for this project's training."""

from __future__ import annotations

from dataclasses import replace

from residency.commands.sweep import estimate_once
from residency.project.settings_file import name_base_from
from residency.project.workspace import Workspace
from residency.sweep.search_options import SearchOptions
from residency.sweep.search_result import SearchResult
from residency.sweep.search_settings import Search


def open_search(ws: Workspace, options: SearchOptions) -> Search:
    """A search that is not planned yet.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError: a setting does not take a value. UserError: an option cannot be meant.
    """
    base = name_base_from(ws.root, options.base)
    return Search(ws, replace(options, base=base), estimate_once)


def search_settings(ws: Workspace, options: SearchOptions) -> SearchResult:
    """Plan and run a search; what an earlier call did is not done again.

    Raises:
        MissingExtraError: Optuna is not installed. StoreLockedError: another process writes.
    """
    opened = open_search(ws, options)
    with ws.store.writer("search"):
        return opened.run(opened.plan())
