"""Run: the plan, where the run is, loss, score and first answers as they come; Start, Stop, Resume.

The run is a separate process. The page watches its progress file and the store, so that neither
the browser's end nor the server's is the run's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from residency.commands.run_apart import read_run_state, start_run, stop_run
from residency.errors import ResidencyError
from residency.project.opened_settings import (
    find_opened_settings,
    is_opened_full,
    write_run_options,
)
from residency.project.progress_file import PROGRESS_FILE
from residency.report.score_charts import draw_score_chart
from residency.report.training_charts import draw_loss_chart
from residency.results.live_figures import read_live_answers, read_live_loss
from residency.results.next_actions import (
    count_further_rounds,
    find_waiting_round,
    write_run_command,
)
from residency.store.store import FOLDER
from residency.web.request_project import NotStartedError
from residency.web.site import Site

EVERY = 1.0
"""Seconds between two looks at a run."""
LONGEST_STREAM = 600.0
"""Seconds after which a browser asks again, so that a lost one is not told for ever."""
_QUIET = 15.0


def add_routes(app: FastAPI, site: Site) -> None:
    """``/run``, its events, Start and Stop."""

    @app.get("/run")
    def show_run(request: Request) -> Response:
        site.need_root(request)
        values = _read_panel(site, request)
        results, command = values.get("results"), "run"
        if results is not None and not results.complete:
            command = write_run_command(results).replace(" DIR", "", 1)
        return site.page(request, "run.html.j2", here="/run", command=command, **values)

    @app.get("/run/events")
    async def send_events(request: Request) -> Response:
        root = site.need_root(request)
        return StreamingResponse(
            _watch(site, request, root),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    @app.post("/run/start")
    def start(
        request: Request,
        by_settings: Annotated[str, Form(max_length=4)] = "",
        rounds: Annotated[int, Form(ge=0, le=99)] = 0,
    ) -> Response:
        """Start a run by the settings, or go on with the last one and the options that it was started with.

        ``rounds``: up to so many; 0 leaves it to the settings.
        """
        root, config = site.need_root(request), site.config(request)
        chosen: dict[str, Any] = {}
        if not by_settings:
            chosen = {**find_opened_settings(root, config), "full": is_opened_full(root, config)}
        start_run(root, write_run_options({**chosen, "rounds.max": rounds} if rounds else chosen))
        return site.went(request, "/run")

    @app.post("/run/stop")
    def stop(request: Request) -> Response:
        stop_run(site.need_root(request))
        return site.went(request, "/run")


async def _watch(site: Site, request: Request, root: Path) -> AsyncIterator[str]:
    """The panel as often as anything of it changes, as events of a stream."""
    begun, last_sent, last_stamp = time.monotonic(), 0.0, ""
    yield "retry: 2000\n\n"
    while time.monotonic() - begun < LONGEST_STREAM:
        stamp = await run_in_threadpool(_read_stamp, root)
        if stamp != last_stamp:
            last_stamp, last_sent = stamp, time.monotonic()
            text = await run_in_threadpool(_draw_panel, site, request)
            lines = "".join(f"data: {line}\n" for line in text.splitlines())
            yield f"{lines}\n"
        elif time.monotonic() - last_sent > _QUIET:
            last_sent = time.monotonic()
            yield ": nothing new\n\n"
        if await request.is_disconnected():
            return
        await asyncio.sleep(EVERY)


def _draw_panel(site: Site, request: Request) -> str:
    """The panel, and with it what else of the page follows from where the run is."""
    values = _read_panel(site, request)
    frame = {
        "actions": site.next_actions(request),
        "position": site.position(request),
        "folder_words": site.name_folder(request),
        "is_late": True,
    }
    parts = ("run_panel.html.j2", "next.html.j2", "position.html.j2")
    return "".join(site.draw(request, name, **values, **frame) for name in parts)


def _read_stamp(root: Path) -> str:
    """What changes when there is something new to be seen."""
    folder = root / FOLDER
    parts = [str(read_run_state(root).process)]
    for name in (PROGRESS_FILE, "store.db", "store.db-wal", "run.json"):
        try:
            parts.append(str((folder / name).stat().st_mtime_ns))
        except OSError:
            parts.append("-")
    return " ".join(parts)


def _read_panel(site: Site, request: Request) -> dict[str, Any]:
    """Everything that the panel shows; what a run has not made yet is left out."""
    state = read_run_state(site.need_root(request))
    values: dict[str, Any] = {
        "state": state,
        "results": None,
        "waiting": 0,
        "further_rounds": 0,
        "score": "",
        "loss": "",
        "answers": [],
    }
    try:
        store = site.store(request)
        results = site.results(request)
    except NotStartedError:
        return values
    try:
        values["results"] = results
        values["waiting"] = find_waiting_round(results)
        values["further_rounds"] = count_further_rounds(results)
        values["score"] = draw_score_chart(results.models)
        steps = read_live_loss(store)
        values["loss"] = draw_loss_chart({"the training that goes on": steps}) if steps else ""
        values["answers"] = read_live_answers(store) if state.is_running else []
    except (ResidencyError, KeyError):  # rows of a step that is written at this moment
        pass
    return values
