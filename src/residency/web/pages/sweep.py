"""Sweep: what more rows or another base would bring; the plan before anything is trained, then what it shows."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.export_apart import find_export
from residency.commands.run_apart import read_run_state
from residency.commands.sweep_apart import (
    SweepState,
    read_sweep_state,
    start_sweep,
    stop_sweep,
    write_sweep_words,
)
from residency.errors import UserError
from residency.report.sweep_charts import SweepSection, draw_sweep
from residency.store.record_kind import RecordKind
from residency.sweep.read_lists import read_numbers, read_shares
from residency.sweep.sweep_options import SweepOptions
from residency.web.request_project import NotStartedError
from residency.web.site import Site

LONGEST_FIELD = 400


def add_routes(app: FastAPI, site: Site) -> None:
    """``/sweep``: the plan, Start and Stop, progress and results."""

    @app.get("/sweep")
    def show_sweep(request: Request) -> Response:
        from residency.model.base_model import KNOWN_BASES

        root, config = site.need_root(request), site.config(request)
        state = read_sweep_state(root)
        options = state.stored_plan.options if state.stored_plan else SweepOptions()
        project_base = config.model.base
        known = list(dict.fromkeys([project_base, *KNOWN_BASES, *options.bases]))
        return site.page(
            request,
            "sweep.html.j2",
            here="/sweep",
            command=_write_command(site, request, options),
            state=state,
            busy=_say_busy(root),
            plan=list_plan_lines(state),
            options=options,
            bases=known,
            chosen=options.bases or (project_base,),
            sizes=", ".join(f"{100 * share:g}" for share in options.shares),
            last_sweep=_read_last_sweep(site, request),
        )

    @app.get("/sweep/state")
    def show_state(request: Request) -> Response:
        state = read_sweep_state(site.need_root(request))
        if not state.is_running:
            return site.went(request, "/sweep")
        return site.part(request, "sweep_state.html.j2", state=state, plan=list_plan_lines(state))

    @app.post("/sweep/stop")
    def stop(request: Request) -> Response:
        stop_sweep(site.need_root(request))
        return site.went(request, "/sweep")

    _add_start(app, site)


def _add_start(app: FastAPI, site: Site) -> None:
    @app.post("/sweep/start")
    def start(
        request: Request,
        base: Annotated[list[str] | None, Form()] = None,
        other: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
        sizes: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
        seeds: Annotated[int, Form(ge=1, le=50)] = 3,
        minutes: Annotated[float, Form(ge=0, le=100_000)] = 30,
        jobs: Annotated[int, Form(ge=1, le=256)] = 1,
        hour_price: Annotated[float, Form(ge=0, le=1e6)] = 0,
        rank: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
        learning_rate: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
        layers: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
        plan_only: Annotated[str, Form(max_length=4)] = "",
    ) -> Response:
        site.need_person(request)
        project_base = site.config(request).model.base
        bases = [name.strip() for name in (*(base or ()), other) if name.strip()]
        if any(len(name) > LONGEST_FIELD or not name.isprintable() for name in bases):
            raise UserError("that is no name of a base model", next_step="choose one of the list")
        options = SweepOptions(
            bases=() if bases in ([], [project_base]) else tuple(dict.fromkeys(bases)),
            shares=read_shares(sizes or "12,25,50,100"),
            seeds=seeds,
            ranks=tuple(round(value) for value in read_numbers(rank, "--rank")),
            learning_rates=tuple(read_numbers(learning_rate, "--learning-rate")),
            layers=tuple(part.strip() for part in layers.split(",") if part.strip()),
            minutes=minutes,
            jobs=jobs,
            hour_price=hour_price,
        )
        start_sweep(site.need_root(request), options, plan_only=bool(plan_only))
        return site.went(request, "/sweep")


@dataclass(frozen=True)
class PlanLine:
    """Trainings of one variant on as many rows: how many are planned, done, and left out."""

    variant: str
    rows: int
    planned: int
    done: int
    left_out: int
    seconds: float


def list_plan_lines(state: SweepState) -> list[PlanLine]:
    """The plan by variant and size, the cheapest first; nothing where none was made."""
    if state.stored_plan is None:
        return []
    finished = set(state.position.finished) if state.position else set()
    lines: dict[tuple[str, int], PlanLine] = {}
    plan = state.stored_plan.plan
    for cell, is_left_out in [
        *((cell, False) for cell in plan["cells"]),
        *((cell, True) for cell in plan["left_out"]),
    ]:
        key = (cell["variant"], cell["rows"])
        line = lines.get(key) or PlanLine(*key, 0, 0, 0, cell["seconds"])
        lines[key] = PlanLine(
            *key,
            planned=line.planned + (not is_left_out),
            done=line.done + (cell["title"] in finished),
            left_out=line.left_out + is_left_out,
            seconds=line.seconds,
        )
    return list(lines.values())


def _say_busy(root: Path) -> str:
    """What else writes to this project at this moment, in words; empty where nothing does."""
    if read_run_state(root).is_running:
        return "A run goes on"
    return "An export goes on" if find_export(root) else ""


def _write_command(site: Site, request: Request, options: SweepOptions) -> str:
    return site.command(request, f"sweep {shlex.join(write_sweep_words(options))}")


def _read_last_sweep(site: Site, request: Request) -> SweepSection | None:
    """What the last sweep of this project showed, of whichever run it was."""
    try:
        store = site.store(request)
    except NotStartedError:
        return None
    records = store.records(RecordKind.SWEEP)
    return draw_sweep(records[-1]) if records else None
