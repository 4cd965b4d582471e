"""Run: the run that goes on, as it goes on."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from residency.web.site import Site


def add_routes(app: FastAPI, site: Site) -> None:
    """``/run``."""

    @app.get("/run")
    def show_run(request: Request) -> Response:
        site.need_root(request)
        return site.page(request, "run.html.j2", here="/run", command="run")
