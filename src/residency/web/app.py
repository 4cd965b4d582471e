"""The workbench: an application that serves the pages of ``web/pages`` over one project or several.

The conventions that pages keep to stand in ``web/pages/__init__.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from residency.errors import ConfigError, ResidencyError, StoreError, StoreLockedError, UserError
from residency.report.templates_env import compile_templates, make_environment, read_asset
from residency.web.page_list import MODULES
from residency.web.request_project import NotStartedError
from residency.web.request_writer import PERSON_COOKIE, clean_name, remember
from residency.web.security import ForeignRequestError, Guard
from residency.web.site import Site

STATIC = Path(__file__).parent / "static"


def create_app(folder: Path, *, token: str = "") -> FastAPI:
    """The application for a project, a folder of projects, or an empty folder.

    Args:
        token: every request must carry it; without one only this machine is answered.
    """
    site = Site(folder, several=bool(token))
    app = FastAPI(
        title="Residency",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(site.check_token)],
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=Guard(token).__call__)
    add_errors(app, site)
    add_shell(app, site)
    for name in MODULES:
        import_module(f"residency.web.pages.{name}").add_routes(app, site)
    return app


def add_errors(app: FastAPI, site: Site) -> None:
    """What is said where a page cannot be shown, or something cannot be written."""

    @app.exception_handler(NotStartedError)
    def lead_to_start(request: Request, error: NotStartedError) -> Response:
        if request.method == "GET" and not request.headers.get("HX-Request"):
            return RedirectResponse("/start", 303)
        return show_problem(request, error)

    @app.exception_handler(ResidencyError)
    def show_problem(request: Request, error: ResidencyError, status: int = 0) -> Response:
        status = status or _status_of(error, request.method)
        if request.headers.get("HX-Request"):
            return site.part(request, "problem_part.html.j2", status=status, error=error)
        title = "Not here" if status == 404 else "That did not work"
        return site.page(request, "problem.html.j2", title=title, status=status, error=error)

    @app.exception_handler(HTTPException)
    def show_no_page(request: Request, error: HTTPException) -> Response:
        what = "there is no such page" if error.status_code == 404 else str(error.detail)
        problem = UserError(what, next_step="the bar above leads to every page")
        return show_problem(request, problem, error.status_code)

    @app.exception_handler(RequestValidationError)
    def show_bad_field(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])[:40]
        problem = UserError(
            f"{field}: {str(first['msg']).lower()}", next_step="go back and give it another value"
        )
        return show_problem(request, problem, 422)


def _status_of(error: ResidencyError, method: str) -> int:
    if isinstance(error, ForeignRequestError):
        return 403
    if isinstance(error, StoreLockedError):
        return 409
    if isinstance(error, StoreError) or (method == "GET" and not isinstance(error, ConfigError)):
        return 404
    return 422


def add_shell(app: FastAPI, site: Site) -> None:
    """Style, script, the token for a page that outlived the server, and the name of who writes."""
    env = make_environment("residency.web")
    style = str(read_asset(env, "style.css") + read_asset(env, "web.css"))
    script = (STATIC / "residency.js").read_text(encoding="utf-8")

    @app.get("/style.css")
    def send_style() -> Response:
        return Response(style, media_type="text/css")

    @app.get("/residency.js")
    def send_script() -> Response:
        return Response(script, media_type="text/javascript")

    @app.get("/token")
    def send_token(request: Request) -> Response:
        # no other origin can read this: there is no CORS header, and the policy says same-origin
        mark = site.mark_project(request)
        return JSONResponse({"token": site.csrf(request), "project": mark})

    @app.post("/person")
    def set_person(
        request: Request, person: Annotated[str, Form()] = "", back: Annotated[str, Form()] = "/"
    ) -> Response:
        inside = back.startswith("/") and not back.startswith(("//", "/\\"))
        answer = site.went(request, back if inside else "/")
        remember(answer, PERSON_COOKIE, clean_name(person))
        return answer


def prepare_pages() -> None:
    """What the first visit of each page would wait for otherwise: its templates."""
    compile_templates("residency.web")
    compile_templates()


def serve_pages(
    folder: Path, *, host: str, port: int, token: str, on_ready: Callable[[int], None]
) -> None:
    """Serve the pages until interrupted; ``on_ready`` is called with the port once connections are taken.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    from residency.web.server import run_server

    def begin(taken: int) -> None:
        on_ready(taken)
        threading.Thread(target=prepare_pages, daemon=True).start()

    run_server(create_app(folder, token=token), host=host, port=port, on_ready=begin)
