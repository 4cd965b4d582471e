"""Overview: the answer first; the report as a page."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from residency.report.write_report import render_report
from residency.results.headline import write_headline
from residency.web.site import Site

_REPORT_POLICY = "frame-ancestors 'none'"
"""The report carries its own, stricter policy for everything else."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/`` and ``/report``."""

    @app.get("/")
    def show_overview(request: Request) -> Response:
        results = site.results(request)
        return site.page(
            request,
            "overview.html.j2",
            here="/",
            command="status",
            results=results,
            head=write_headline(results),
        )

    @app.get("/report")
    def show_report(request: Request) -> Response:
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return HTMLResponse(render_report(site.results(request)), headers=headers)
