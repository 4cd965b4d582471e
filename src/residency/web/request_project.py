"""The project that a request speaks of: its settings, its store, its latest run, and what comes next."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from starlette.requests import Request

from residency.commands.run_apart import read_run_state
from residency.config.settings import CONFIG_NAME, Config
from residency.errors import ConfigError, NotRunError, ResidencyError, UserError
from residency.project.made_rows import count_undecided_rows
from residency.project.opened_settings import is_opened_full, read_config_as_opened
from residency.project.progress_file import RunPosition, read_position
from residency.project.settings_file import find_project_root, read_config
from residency.project.workspace import Workspace
from residency.results.next_actions import NextAction, list_first_actions, list_next_actions
from residency.results.run_results import RunResults
from residency.store.store import FOLDER, Store

PROJECT_COOKIE = "residency_project"
_MOST_RESULTS = 24
_Stamp = tuple[tuple[int, int], ...] | str


class NotStartedError(UserError):
    """There is no project here, or nothing was run in it; Start is the page to be on."""


class RequestProject:
    """Finds the project of each request. What was read of a run stays until its store changes.

    Args:
        folder: a project's folder (or one inside it), or a folder that holds projects, or an empty
            one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._stores: dict[Path, tuple[Store, int]] = {}
        self._results: dict[tuple[Path, str], tuple[_Stamp, RunResults]] = {}
        self._actions: WeakKeyDictionary[RunResults, dict[bool, list[NextAction]]]
        self._actions = WeakKeyDictionary()
        self._lock = threading.Lock()

    def projects(self) -> list[Path]:
        """Projects here: the one at or above the folder, or those within it."""
        try:
            return [find_project_root(self.folder)]
        except ConfigError:
            config_files = [
                *self.folder.glob(f"*/{CONFIG_NAME}"),
                *self.folder.glob(f"*/*/{CONFIG_NAME}"),
            ]
            return sorted(path.parent for path in config_files if path.is_file())

    def root(self, request: Request) -> Path | None:
        """The project that this request speaks of: the only one, or the one that was chosen."""
        projects = self.projects()
        chosen = unquote(request.cookies.get(PROJECT_COOKIE, ""))
        named = next((path for path in projects if self.name_of(path) == chosen), None)
        return named or (projects[0] if len(projects) == 1 else None)

    def name_of(self, root: Path) -> str:
        """How a project is called in the cookie that remembers it."""
        inside = root.is_relative_to(self.folder)
        return root.relative_to(self.folder).as_posix() if inside else root.as_posix()

    def need_root(self, request: Request) -> Path:
        """The project of this request.

        Raises:
            NotStartedError: there is none, or none was chosen.
        """
        root = self.root(request)
        if root is None:
            raise NotStartedError("no project is chosen", next_step="choose or make one on Start")
        return root

    def config(self, request: Request) -> Config:
        """The settings of the project of this request."""
        return read_config(self.need_root(request))

    def store(self, request: Request) -> Store:
        """The store of the project of this request.

        Raises:
            NotStartedError: nothing is stored there yet.
        """
        root = self.need_root(request)
        with self._lock:
            file_id = _find_file_id(root)
            known = self._stores.get(root)
            if (
                known is None or known[1] != file_id
            ):  # what was deleted beneath is written to no more
                try:
                    project = read_config(root).project
                    store = Store(root, project.store, create=False, artifacts=project.artifacts)
                    self._stores[root] = store, file_id
                except NotRunError as error:
                    raise NotStartedError(error.what, next_step=error.next_step) from None
            return self._stores[root][0]

    def results(self, request: Request, run: str = "") -> RunResults:
        """The read-out of a run, or of the one that was worked on last.

        Raises:
            NotStartedError: nothing was run yet.
        """
        store = self.store(request)
        latest = run or store.latest_run()
        if not latest:
            raise NotStartedError("nothing was run here yet", next_step="residency run")
        key, stamp = (store.folder, latest), _stamp(store)
        with self._lock:
            known = self._results.get(key)
            if known is None or known[0] != stamp:
                if len(self._results) >= _MOST_RESULTS:
                    self._results.clear()
                known = self._results[key] = stamp, RunResults(store, latest)
            return known[1]

    def next_actions(self, request: Request) -> list[NextAction]:
        """What to do next here."""
        running = self.position(request) is not None
        try:
            results = self.results(request)
            known = self._actions.setdefault(results, {})  # what was read of the store is as old
            if running not in known:
                known[running] = list_next_actions(results, running=running)
            return known[running]
        except NotStartedError:
            return self._first_actions(request)
        except ResidencyError:  # no page is lost for the sake of advice
            return []

    def _first_actions(self, request: Request) -> list[NextAction]:
        try:
            root = self.root(request)
            running = root is not None and read_run_state(root).is_running
            if root is None:
                return list_first_actions(None)
            config = read_config(root)
            undecided = count_undecided_rows(root, config)
            return list_first_actions(config, undecided=undecided, running=running)
        except ResidencyError:
            return []

    def workspace(self, request: Request) -> Workspace:
        """The project, opened with the base of its last run; what is heavy is loaded at its first use."""
        root = self.need_root(request)
        config = read_config_as_opened(root)
        return Workspace(root, config, full=is_opened_full(root, config))

    def position(self, request: Request) -> RunPosition | None:
        """Where a run of this project is, while one goes on."""
        root = self.root(request)
        return read_position(root / FOLDER) if root else None

    def name_folder(self, request: Request) -> str:
        """The project's folder as a shell takes it, from where the server was started."""
        root, here = self.root(request) or self.folder, Path.cwd()
        name = root.relative_to(here).as_posix() if root.is_relative_to(here) else str(root)
        return shlex.quote(name)

    def command(self, request: Request, words: str, *, verbs: int = 1) -> str:
        """A command line that does what a page does: ``run`` → ``residency run demo``.

        Args:
            verbs: how many of the words come before the folder (``suite draft`` has two).
        """
        each = words.split()
        line = ["residency", *each[:verbs], self.name_folder(request), *each[verbs:]]
        return " ".join(line)


def _stamp(store: Store) -> _Stamp:
    """What changes whenever anybody writes to a store."""
    if store.is_shared:
        return store.read_snapshot()
    stamps = []
    for name in ("store.db", "store.db-wal"):
        try:
            stat = (store.folder / name).stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            stamps.append((0, 0))
    return tuple(stamps)


def _find_file_id(root: Path) -> int:
    """Tells the SQLite file of a project from another one of its name; 0 where there is none."""
    try:
        return (root / FOLDER / "store.db").stat().st_ino
    except OSError:
        return 0
