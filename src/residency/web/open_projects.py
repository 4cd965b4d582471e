"""Projects that stay open: rows, tokenizer and model are loaded once and not for each request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

from starlette.requests import Request

from residency.config.settings import CONFIG_NAME
from residency.data.collected_rows import COLLECTED
from residency.plugins import use_plugin_files
from residency.project.made_rows import read_settled_rows
from residency.project.named_kinds import KINDS_FILE
from residency.project.opened_settings import is_opened_full, read_config_as_opened
from residency.project.settings_file import read_config
from residency.project.workspace import Workspace
from residency.web.site import Site

Stamp = tuple[tuple[str, int, int], ...]


class OpenProjects:
    """One opened project a folder. Whoever uses one has it alone: models are not shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[Path, tuple[Stamp, Workspace, threading.Lock]] = {}

    @contextmanager
    def use(self, root: Path) -> Iterator[Workspace]:
        """The project of a folder as its last run opened it; anew where settings, files, base or decisions of made
        rows changed."""
        config = read_config_as_opened(root)
        full = is_opened_full(root, config)
        made = hash(tuple(e.id for e in read_settled_rows(root, config).examples))
        stamp = (*stamp_files(root), (config.model.base, int(full), made))
        with self._lock:
            known = self._opened.get(root)
            if known is None or known[0] != stamp:
                known = stamp, Workspace(root, config, full=full), threading.Lock()
                self._opened[root] = known
        with known[2], use_plugin_files(known[1].plugin_files):
            yield known[1]


_OF_SITES: WeakKeyDictionary[Site, OpenProjects] = WeakKeyDictionary()


def find_open_projects(site: Site) -> OpenProjects:
    """The opened projects that all pages of a site share."""
    return _OF_SITES.setdefault(site, OpenProjects())


@contextmanager
def open_alone(site: Site, request: Request) -> Iterator[Workspace]:
    """The project with a separate store, for one request: one that writes through a command, or
    that reads for so long that no other should wait for it."""
    ws = site.workspace(request)
    try:
        with use_plugin_files(ws.plugin_files):
            yield ws
    finally:
        if "store" in vars(ws):
            ws.store.close()


def stamp_files(root: Path) -> Stamp:
    """Names, sizes and times of what an opened project was read from."""
    config = read_config(root)
    splits = (config.data.train, config.data.dev, config.data.test, config.data.pool)
    sources = [source for sources in splits for source in sources]
    names = [CONFIG_NAME, COLLECTED, KINDS_FILE, config.evaluate.suite, *sources]
    out = []
    for name in names:
        path = root / name if name else root
        try:
            known = path.stat()
        except (OSError, ValueError):  # an address, or a file that is gone
            continue
        out.append((str(name), known.st_size, known.st_mtime_ns))
    return tuple(out)
