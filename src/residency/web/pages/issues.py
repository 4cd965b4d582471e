"""Issues: the ledger of all, and one of them with its items."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from residency.results.issue_items import count_changes, list_changes, load_samples
from residency.web.paging import Page, make_pager
from residency.web.site import Site

ISSUE_ITEMS = 10
"""Items of an issue on one page."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/issues`` and ``/issues/{issue}``."""

    @app.get("/issues")
    def show_issues(request: Request) -> Response:
        results = site.results(request)
        return site.page(
            request, "issues.html.j2", here="/issues", command="status", results=results
        )

    @app.get("/issues/{issue}")
    def show_issue(request: Request, issue: str, change: str = "", page: Page = 1) -> Response:
        results = site.results(request)
        result = results.issue(issue)
        changes = list_changes(results.answers, result)
        fitting = [item for item in changes if change in ("", item.change)]
        pager = make_pager(len(fitting), page, ISSUE_ITEMS, change=change)
        return site.page(
            request,
            "issue.html.j2",
            here="/issues",
            title=result.title,
            results=results,
            view=result,
            samples=load_samples(results.answers, result.issue, fitting[pager.start : pager.stop]),
            counts=count_changes(changes),
            change=change,
            pager=pager,
        )
