"""The workbench: pages over a project's store. They read; nothing is written or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from residency.errors import ResidencyError
from residency.project.workspace import read_config
from residency.report.templates_env import asset, environment
from residency.report.write_report import render
from residency.results import item_rows as items
from residency.results.headline import headline
from residency.results.run_evidence import Evidence
from residency.store.store import Store
from residency.web.security import Guard

PAGES = (("/", "Overview"), ("/issues", "Issues"), ("/items", "Items"), ("/report", "Report"))
_REPORT_POLICY = "frame-ancestors 'none'"
"""The report carries its own, stricter policy for everything else."""


def create_app(root: Path, *, token: str = "") -> FastAPI:
    """The application for one project. With a ``token`` every request must carry it.

    Raises:
        StoreError: nothing is stored there yet.
    """
    config = read_config(root)
    store = Store(root, config.project.store, create=False)
    env = environment("residency.web")
    app = FastAPI(title="Residency", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BaseHTTPMiddleware, dispatch=Guard(token).__call__)

    def page(name: str, here: str, **values: Any) -> HTMLResponse:
        values.setdefault("title", dict(PAGES).get(here, "Residency"))
        text = env.get_template(name).render(
            project=config.project.name, pages=PAGES, here=here, **values
        )
        return HTMLResponse(text)

    @app.exception_handler(ResidencyError)
    def explained(request: Request, error: ResidencyError) -> Response:
        answer = page("problem.html.j2", "", title="Not here", error=error)
        answer.status_code = 404
        return answer

    @app.get("/style.css")
    def style() -> Response:
        text = asset(env, "style.css") + asset(env, "web.css")
        return Response(str(text), media_type="text/css")

    @app.get("/")
    def overview() -> Response:
        evidence = Evidence(store)
        return page("overview.html.j2", "/", evidence=evidence, head=headline(evidence))

    @app.get("/issues")
    def issues() -> Response:
        return page("issues.html.j2", "/issues", evidence=Evidence(store))

    @app.get("/issues/{issue}")
    def issue(issue: str, change: str = "") -> Response:
        evidence = Evidence(store)
        view = evidence.issue(issue)
        samples = evidence.samples(view)
        counts: dict[str, int] = {}
        for sample in samples:
            counts[sample.change] = counts.get(sample.change, 0) + 1
        if change:
            samples = [sample for sample in samples if sample.change == change]
        return page(
            "issue.html.j2",
            "/issues",
            title=view.title,
            evidence=evidence,
            view=view,
            samples=samples,
            counts=counts,
            change=change,
        )

    @app.get("/items")
    def item_list(kind: str = "", tag: str = "", change: str = "") -> Response:
        evidence = Evidence(store)
        return page(
            "items.html.j2",
            "/items",
            evidence=evidence,
            arms=items.main_arms(evidence),
            rows=items.item_rows(evidence, kind=kind, tag=tag, change=change),
            tags=items.tags(evidence),
            changes=items.CHANGES,
            chosen={"kind": kind, "tag": tag, "change": change},
        )

    @app.get("/items/{example}")
    def item(example: str) -> Response:
        evidence = Evidence(store)
        found = evidence.example(example)
        return page(
            "item.html.j2",
            "/items",
            title=found.id,
            example=found,
            answers=items.answers(evidence, found),
        )

    @app.get("/report")
    def full_report() -> Response:
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return HTMLResponse(render(Evidence(store)), headers=headers)

    return app


def serve(root: Path, *, host: str, port: int, token: str) -> None:
    """Serve the pages until interrupted."""
    import uvicorn

    uvicorn.run(create_app(root, token=token), host=host, port=port, log_level="warning")
