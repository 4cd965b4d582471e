"""Overview: the answer first; the report as a page."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from residency.report.write_report import render_report
from residency.results.headline import write_headline
from residency.results.run_results import RunResults
from residency.results.units_sentence import tell_run_units
from residency.web.pages.comparison import AT_ONCE
from residency.web.site import Site

_REPORT_POLICY = "frame-ancestors 'none'"
"""The report carries a stricter policy for everything else."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/`` and ``/report``."""
    reports: WeakKeyDictionary[RunResults, str] = WeakKeyDictionary()

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
            units=tell_run_units(results),
        )

    @app.get("/report")
    def show_report(request: Request, now: bool = False) -> Response:
        results = site.results(request)  # another one as soon as anybody writes to the store
        items = len(results.answers.positions("dev"))
        if items > AT_ONCE and not now and results not in reports:
            return site.page(
                request, "report_wait.html.j2", here="/report", command="report", items=items
            )
        if results not in reports:
            reports[results] = render_report(results)
        return HTMLResponse(reports[results], headers={"Content-Security-Policy": _REPORT_POLICY})

    @app.get("/report/work")
    def work_out(request: Request) -> Response:
        """Write a report of many items, and lead to it."""
        results = site.results(request)
        if results not in reports:
            reports[results] = render_report(results)
        return site.went(request, "/report?now=1")
