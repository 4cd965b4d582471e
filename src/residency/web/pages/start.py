"""Start: from an empty folder to a run; and the choice among several projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from residency.errors import ConfigError
from residency.web.site import PROJECT_COOKIE, Site, remember


def add_routes(app: FastAPI, site: Site) -> None:
    """``/start`` and the choice of a project."""

    @app.get("/start")
    def show_start(request: Request) -> Response:
        projects = [(site.name_of(path), path) for path in site.projects()]
        return site.page(
            request, "start.html.j2", here="/start", projects=projects, root=site.root(request)
        )

    @app.post("/start/project")
    def choose_project(request: Request, name: Annotated[str, Form()]) -> Response:
        if name not in {site.name_of(path) for path in site.projects()}:
            raise ConfigError("there is no such project here", where=name)
        answer = RedirectResponse("/start", 303)
        remember(answer, PROJECT_COOKIE, name)
        return answer
