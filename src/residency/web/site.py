"""What all pages share: the project of a request, its store, who asks, and how a page is drawn."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shlex
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from weakref import WeakKeyDictionary

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from residency.commands.run_apart import read_run_state
from residency.config.settings import CONFIG_NAME, Config
from residency.errors import ConfigError, ResidencyError, StoreError, UserError
from residency.project.opened_settings import read_config_as_opened
from residency.project.progress_file import RunPosition, read_position
from residency.project.settings_file import find_project_root, read_config
from residency.project.workspace import Workspace
from residency.report.templates_env import make_environment
from residency.results.next_actions import NextAction, list_first_actions, list_next_actions
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.store import FOLDER, Store
from residency.text.terminal_text import make_safe
from residency.web.page_list import LINKS
from residency.web.security import FIELD, ForeignRequestError, find_token, is_token

PROJECT_COOKIE = "residency_project"
PERSON_COOKIE = "residency_person"
LONGEST_NAME = 60
_MONTHS = 60 * 60 * 24 * 180
_MOST_RESULTS = 24
_Stamp = tuple[tuple[int, int], ...]


class NotStartedError(UserError):
    """There is no project here, or nothing was run in it; Start is the page to be on."""


class Site:
    """The pages' shared ground.

    Args:
        folder: a project's folder (or one inside it), or a folder that holds projects, or an empty
            one. several: whether other people may be here too, so that nobody's name is guessed.
    """

    def __init__(self, folder: Path, *, several: bool = False) -> None:
        self.folder = folder.resolve()
        self.several = several
        self._secret = secrets.token_bytes(32)
        self._stores: dict[Path, tuple[Store, int]] = {}
        self._results: dict[tuple[Path, str], tuple[_Stamp, RunResults]] = {}
        self._actions: WeakKeyDictionary[RunResults, dict[bool, list[NextAction]]]
        self._actions = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._env = make_environment("residency.web")

    # --- the project ----------------------------------------------------------------------

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
                    url = read_config(root).project.store
                    self._stores[root] = Store(root, url, create=False), file_id
                except StoreError as error:
                    if (root / FOLDER / "store.db").exists():
                        raise
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
        if store.is_shared:  # others write where nothing here would notice
            return RunResults(store, latest)
        key, stamp = (store.folder, latest), _stamp(store.folder)
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
            return list_first_actions(read_config(root) if root else None, running=running)
        except ResidencyError:
            return []

    def workspace(self, request: Request) -> Workspace:
        """The project, opened with the base of its last run; what is heavy is loaded at its first use."""
        root = self.need_root(request)
        return Workspace(root, read_config_as_opened(root))

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

    # --- who writes -----------------------------------------------------------------------

    def person(self, request: Request) -> str:
        """The name of who writes: what they said, or on the user's machine the login name."""
        cookie_name = clean_name(unquote(request.cookies.get(PERSON_COOKIE, "")))
        return cookie_name or ("" if self.several else _login_name())

    def need_person(self, request: Request) -> str:
        """The name of who writes.

        Raises:
            UserError: nobody said it.
        """
        person = self.person(request)
        if not person:
            raise UserError(
                "nobody said who writes", next_step="give your name at the end of the page"
            )
        return person

    def write(self, request: Request, kind: RecordKind, key: str, body: Mapping[str, Any]) -> None:
        """Append a record with who wrote it; when is added by the store.

        Raises:
            UserError: nobody said who writes. StoreLockedError: somebody else writes, for long.
        """
        person, store = self.need_person(request), self.store(request)
        with self._lock:
            store.add_record(kind, key, {**body, "who": person})

    def csrf(self, request: Request) -> str:
        """The token of this browser's pages: of this server and of the project that they show.

        A page of one project cannot write into another that was chosen in the meantime.
        """
        root = self.root(request)
        return hmac.new(self._secret, str(root).encode(), hashlib.sha256).hexdigest()

    def mark_project(self, request: Request) -> str:
        """Tells the project of this browser from others: a page that is older than the choice of
        another one gets no token for it."""
        return hashlib.sha256(str(self.root(request)).encode()).hexdigest()[:16]

    async def check_token(self, request: Request) -> None:
        """A dependency of every address: a request to write carries the token.

        Raises:
            ForeignRequestError: it does not.
        """
        if request.method in ("GET", "HEAD"):
            return
        if not is_token(await find_token(request), self.csrf(request)):
            raise ForeignRequestError(
                "this page is older than the server, or belongs to another project",
                next_step="load it again; what you wrote into a field is still there",
            )

    # --- answers --------------------------------------------------------------------------

    def page(
        self,
        request: Request,
        template: str,
        *,
        here: str = "",
        title: str = "",
        command: str = "",
        status: int = 200,
        **values: Any,
    ) -> HTMLResponse:
        """A whole page.

        Args:
            here: the path of its link in the bar. command: the command that does the same, without
                ``residency`` and folder (``run``), or whole.
        """
        root = self.root(request)
        names = {link.path: link.name for link in LINKS}
        position = self.position(request)
        if command and not command.startswith("residency "):
            command = self.command(request, command)
        frame = {
            "project": _project_name(root) if root else "Residency",
            "links": LINKS,
            "here": here,
            "title": _name_page(title or names.get(here, "Residency"), values.get("pager")),
            "command": command,
            "back": _name_place(request) if request.method == "GET" else here or "/",
            "position": position,
            "several": self.several,
            "project_mark": self.mark_project(request),
            "actions": self.next_actions(request),
            "folder_words": self.name_folder(request),
        }
        return HTMLResponse(self._draw(request, template, {**frame, **values}), status)

    def part(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A piece of a page, for a request of our script."""
        return HTMLResponse(self._draw(request, template, values), status)

    def draw(self, request: Request, template: str, **values: Any) -> str:
        """A piece of a page as text."""
        return self._draw(request, template, values)

    def _draw(self, request: Request, template: str, values: Mapping[str, Any]) -> str:
        token = self.csrf(request)
        field = Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token)
        shared = {"csrf": token, "csrf_field": field, "person": self.person(request)}
        return self._env.get_template(template).render({**shared, **values})

    def went(self, request: Request, path: str) -> Response:
        """After writing: to where one sees what was written."""
        if request.headers.get("HX-Request"):
            return Response(headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)


def clean_name(text: str) -> str:
    """A person's name as one short line."""
    return make_safe(" ".join(text.split()))[:LONGEST_NAME].strip()


def remember(response: Response, cookie: str, value: str) -> None:
    """Keep a choice in this browser."""
    response.set_cookie(
        cookie, quote(value, safe=""), max_age=_MONTHS, httponly=True, samesite="strict"
    )


def _stamp(folder: Path) -> _Stamp:
    """What changes whenever anybody writes to the SQLite file of a store."""
    stamps = []
    for name in ("store.db", "store.db-wal"):
        try:
            stat = (folder / name).stat()
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


def _login_name() -> str:
    import getpass

    try:
        return clean_name(getpass.getuser())
    except (OSError, KeyError, ImportError):
        return ""


def _name_place(request: Request) -> str:
    """The address that a request asks for, without the server's name."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _name_page(title: str, pager: Any) -> str:
    return f"{title}, page {pager.page}" if pager is not None and pager.page > 1 else title


def _project_name(root: Path) -> str:
    try:
        return read_config(root).project.name or root.name
    except ConfigError:
        return root.name
