"""Start: from an empty folder to a run; and the choice among several projects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.run_apart import read_run_state
from residency.errors import ConfigError, DataError, ResidencyError
from residency.project.opened_settings import find_opened_base
from residency.web.request_project import PROJECT_COOKIE
from residency.web.request_writer import remember
from residency.web.site import Site
from residency.web.uploads import keep_upload

FIELDS = {
    "question": "what is asked",
    "response": "what is to be answered",
    "instruction": "the task, in words",
    "input": "what the task is about",
    "messages": "whole conversations",
    "prompt": "raw text that the answer continues",
    "text": "raw text, all of it learned",
    "system": "said before everything else",
}
"""Fields that a person maps columns to, in words; others are recognised by their names."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/start``, and the steps from a file to a project."""
    add_steps(app, site)

    @app.get("/start")
    def show_start(request: Request, new: bool = False) -> Response:
        from residency.model.base_model import KNOWN_BASES

        root = site.root(request)
        projects = [(site.name_of(path), path) for path in site.projects()]
        return site.page(
            request,
            "start.html.j2",
            here="/start",
            command="check" if root else f"residency init {site.folder} --train FILE",
            projects=projects,
            root=root,
            new=new or not projects,
            folder=site.folder,
            config=site.config(request) if root else None,
            opened_base=find_opened_base(root, site.config(request)) if root else None,
            state=read_run_state(root) if root else None,
            bases=KNOWN_BASES,
        )

    @app.post("/start/project")
    def choose_project(request: Request, name: Annotated[str, Form()]) -> Response:
        if name not in {site.name_of(path) for path in site.projects()}:
            raise ConfigError("there is no such project here", where=name)
        return _open_project(site, request, name)


def add_steps(app: FastAPI, site: Site) -> None:
    """A file is looked at, its columns are named, a project is made of it."""

    @app.post("/start/file")
    def look_at_file(
        request: Request,
        upload: UploadFile | None = None,
        path: Annotated[str, Form()] = "",
    ) -> Response:
        if upload is not None and upload.filename:
            file = keep_upload(upload, site.folder)
        elif path.strip():
            file = _find_file(site.folder, path)
        else:
            raise DataError("no file was named", next_step="drop one, or write its path")
        return _show_preview(request, file, {}, "")

    @app.post("/start/columns")
    async def name_columns(request: Request) -> Response:
        form = await request.form()
        file = _find_file(site.folder, str(form.get("path", "")))
        return _show_preview(request, file, _read_columns(form), str(form.get("split_at", "")))

    @app.post("/start/make")
    async def make_project(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        form = await request.form()
        root = await run_in_threadpool(_make_project, site, form)
        return _open_project(site, request, site.name_of(root))

    @app.post("/start/example")
    def make_example(request: Request, name: Annotated[str, Form()] = "tickets") -> Response:
        from residency.commands.init import init

        root = _choose_folder(site, name)
        init(root, example=name)
        return _open_project(site, request, site.name_of(root))

    def _show_preview(
        request: Request, file: Path, columns: dict[str, str], split_at: str
    ) -> Response:
        from residency.data.reading.file_preview import preview_file

        try:
            preview = preview_file(file, columns, split_at=split_at.replace("\\n", "\n"))
        except ResidencyError as error:
            return site.part(request, "problem_part.html.j2", status=422, error=error)
        values: dict[str, Any] = {
            "preview": preview,
            "fields": FIELDS,
            "split_at": split_at,
            "given": columns,
            "needs_name": bool(site.projects()),
        }
        if request.headers.get("HX-Request"):
            return site.part(request, "start_preview.html.j2", **values)
        return site.page(request, "start_file.html.j2", here="/start", **values)


def _make_project(site: Site, form: Any) -> Path:
    from residency.commands.init import init

    file = _find_file(site.folder, str(form.get("path", "")))
    files = {"train": [file]}
    for split in ("dev", "test", "pool"):
        if name := str(form.get(split, "")).strip():
            files[split] = [_find_file(site.folder, name)]
    root = _choose_folder(site, str(form.get("name", "")))
    columns = _read_columns(form)
    split_at = str(form.get("split_at", "")).replace("\\n", "\n")
    init(root, files=files, columns=columns, split_at=split_at, name=str(form.get("name", "")))
    return root


def _choose_folder(site: Site, name: str) -> Path:
    """Where a new project goes: into the folder itself, or into a new one beside others."""
    if not site.projects():
        return site.folder
    clean = re.sub(r"[^\w-]+", "-", name).strip("-_")[:60]
    if not clean:
        raise ConfigError("the new project has no name", next_step="give it one")
    root = site.folder / clean
    if site.projects()[0] == site.folder or site.folder.is_relative_to(site.projects()[0]):
        raise ConfigError(
            "this folder is a project already",
            where=str(site.folder),
            next_step="open residency web on the folder above",
        )
    return root


def _find_file(folder: Path, name: str) -> Path:
    path = Path(name.strip()).expanduser()
    if not name.strip():
        raise DataError("no file was named", next_step="drop one, or write its path")
    return path if path.is_absolute() else folder / path


def _read_columns(form: Any) -> dict[str, str]:
    columns = {field: str(form.get(f"column-{field}", "")).strip() for field in FIELDS}
    return {field: column for field, column in columns.items() if column}


def _open_project(site: Site, request: Request, name: str) -> Response:
    answer = site.went(request, "/start")
    remember(answer, PROJECT_COOKIE, name)
    return answer
