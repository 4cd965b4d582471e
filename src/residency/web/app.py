"""The workbench: pages over a project's store. They read; nothing is written or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from residency.errors import ResidencyError
from residency.project.settings_file import read_config
from residency.report.templates_env import make_environment, read_asset
from residency.report.write_report import render_report
from residency.results.headline import write_headline
from residency.results.issue_items import count_changes, list_changes, load_samples
from residency.results.item_list import (
    LISTED_CHANGES,
    list_answers,
    list_items,
    list_tags,
    main_models,
)
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.paging import make_pager
from residency.web.security import Guard

PAGES = {"/": "Overview", "/issues": "Issues", "/items": "Items", "/report": "Report"}
ISSUE_ITEMS = 10
"""Items of an issue on one page."""
LISTED_ITEMS = 50
"""Items of the list on one page."""
_REPORT_POLICY = "frame-ancestors 'none'"
"""The report carries its own, stricter policy for everything else."""

Page = Annotated[int, Query(ge=1, le=10_000_000)]


def create_app(root: Path, *, token: str = "") -> FastAPI:
    """The application for one project. With a ``token`` every request must carry it.

    Raises:
        StoreError: nothing is stored there yet.
    """
    config = read_config(root)
    store = Store(root, config.project.store, create=False)
    env = make_environment("residency.web")
    app = FastAPI(title="Residency", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BaseHTTPMiddleware, dispatch=Guard(token).__call__)

    def show_page(name: str, here: str, **values: Any) -> HTMLResponse:
        values.setdefault("title", PAGES.get(here, "Residency"))
        text = env.get_template(name).render(
            project=config.project.name, pages=PAGES, here=here, **values
        )
        return HTMLResponse(text)

    @app.exception_handler(ResidencyError)
    def show_error(request: Request, error: ResidencyError) -> Response:
        answer = show_page("problem.html.j2", "", title="Not here", error=error)
        answer.status_code = 404
        return answer

    @app.get("/style.css")
    def send_style() -> Response:
        text = read_asset(env, "style.css") + read_asset(env, "web.css")
        return Response(str(text), media_type="text/css")

    @app.get("/")
    def show_overview() -> Response:
        results = RunResults(store)
        return show_page("overview.html.j2", "/", results=results, head=write_headline(results))

    @app.get("/issues")
    def show_issues() -> Response:
        return show_page("issues.html.j2", "/issues", results=RunResults(store))

    @app.get("/issues/{issue}")
    def show_issue(issue: str, change: str = "", page: Page = 1) -> Response:
        results = RunResults(store)
        result = results.issue(issue)
        changes = list_changes(results.answers, result)
        fitting = [item for item in changes if change in ("", item.change)]
        pager = make_pager(len(fitting), page, ISSUE_ITEMS, change=change)
        return show_page(
            "issue.html.j2",
            "/issues",
            title=result.title,
            results=results,
            view=result,
            samples=load_samples(results.answers, result.issue, fitting[pager.start : pager.stop]),
            counts=count_changes(changes),
            change=change,
            pager=pager,
        )

    @app.get("/items")
    def show_items(kind: str = "", tag: str = "", change: str = "", page: Page = 1) -> Response:
        results = RunResults(store)
        filters = {"kind": kind, "tag": tag, "change": change}
        offset = (page - 1) * LISTED_ITEMS
        items = list_items(results, **filters, offset=offset, limit=LISTED_ITEMS)
        return show_page(
            "items.html.j2",
            "/items",
            results=results,
            models=main_models(results),
            items=items,
            tags=list_tags(results),
            changes=LISTED_CHANGES,
            chosen=filters,
            pager=make_pager(items.total, page, LISTED_ITEMS, **filters),
        )

    @app.get("/items/{example}")
    def show_item(example: str) -> Response:
        results = RunResults(store)
        item = results.answers.find_example(example)
        return show_page(
            "item.html.j2",
            "/items",
            title=item.id,
            example=item,
            answers=list_answers(results, item),
        )

    @app.get("/report")
    def show_report() -> Response:
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return HTMLResponse(render_report(RunResults(store)), headers=headers)

    return app


def serve_pages(root: Path, *, host: str, port: int, token: str) -> None:
    """Serve the pages until interrupted."""
    from residency.web.server import run_server

    run_server(create_app(root, token=token), host=host, port=port)
