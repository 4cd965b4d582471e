"""What all pages share: how a page is drawn, over the project of a request and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from residency.errors import ConfigError
from residency.project.settings_file import read_config
from residency.report.templates_env import make_environment
from residency.web.page_list import LINKS
from residency.web.request_writer import RequestWriter
from residency.web.security import FIELD


class Site(RequestWriter):
    """The pages' shared ground: draws whole pages and parts of them."""

    def __init__(self, folder: Path, *, several: bool = False) -> None:
        super().__init__(folder, several=several)
        self._env = make_environment("residency.web")

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
