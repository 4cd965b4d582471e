"""Ship: export with its proof, the gate, how to serve, and what the server was used for."""

from __future__ import annotations

import contextlib
import shlex
from typing import Annotated

from fastapi import FastAPI, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.export_apart import (
    EXPORTS,
    ExportOptions,
    find_export,
    read_export_words,
    start_export,
    stop_export,
)
from residency.commands.export_log import list_exports
from residency.commands.gate import GateLimits, gate
from residency.commands.run_apart import read_run_state
from residency.commands.serving_lines import list_serving_lines
from residency.errors import ResidencyError, UserError
from residency.export.export_formats import FORMATS, QUANTISATIONS
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults
from residency.results.usage import read_usage
from residency.web.site import Site

FORMAT_WORDS = {
    "hf": "a whole model for transformers and vLLM",
    "adapter": "the PEFT adapter alone",
    "gguf": "files for llama.cpp",
    "gguf-adapter": "a LoRA file for llama.cpp",
    "ollama": "files and a Modelfile for Ollama",
}
SHOWN_EXPORTS = 10
_DEFAULTS = GateLimits()
Points = Annotated[float, Query(ge=0, le=100)]


def add_routes(app: FastAPI, site: Site) -> None:
    """``/ship`` and its parts."""
    _add_export(app, site)
    _add_gate(app, site)
    _add_use(app, site)


def _add_export(app: FastAPI, site: Site) -> None:
    @app.get("/ship")
    def show_ship(request: Request) -> Response:
        results, root = site.results(request), site.need_root(request)
        exports = list_exports(site.store(request))
        models = [m for m in results.models if m.model.adapter]
        command = site.command(request, "serve").split(" ")[2]
        return site.page(
            request,
            "ship.html.j2",
            here="/ship",
            command=f"export --out {EXPORTS}/final-hf",
            models=models,
            final=results.final_id,
            formats=[(name, FORMAT_WORDS[name]) for name in FORMATS],
            quantisations=list(QUANTISATIONS),
            exports=exports[:SHOWN_EXPORTS],
            more=max(0, len(exports) - SHOWN_EXPORTS),
            running=find_export(root),
            busy=read_run_state(root).is_running,
            last_words="" if find_export(root) else read_export_words(root),
            serving=list_serving_lines(shlex.split(command)[0], exports),
            baselines=_list_baselines(results),
            folder=EXPORTS,
            command_of=lambda words: site.command(request, f"export {words}"),
            state=exports[0] if exports else None,
        )

    @app.get("/ship/state")
    def show_state(request: Request) -> Response:
        root = site.need_root(request)
        if not find_export(root):
            return site.went(request, "/ship")
        exports = list_exports(site.store(request))
        return site.part(
            request,
            "ship_state.html.j2",
            state=exports[0] if exports and exports[0].is_running else None,
            last_words=read_export_words(root),
        )

    @app.post("/ship/export")
    def begin_export(
        request: Request,
        model: Annotated[str, Form(max_length=64)],
        export_format: Annotated[str, Form(alias="format", max_length=20)],
        folder: Annotated[str, Form(max_length=200)] = "",
        quantise: Annotated[list[str] | None, Form()] = None,
        margin: Annotated[float, Form(ge=0, le=100)] = 5.0,
        grade: Annotated[str, Form(max_length=4)] = "",
        force: Annotated[str, Form(max_length=4)] = "",
    ) -> Response:
        site.need_person(request)
        results = site.results(request)
        known = [m for m in results.models if m.model.adapter and m.id == model]
        if not known:
            raise UserError("no such model can be exported", next_step="choose one of the list")
        options = ExportOptions(
            model=(name := _name_model(results, known[0])),
            export_format=export_format,
            folder=folder.strip() or f"{name}-{export_format}",
            quantisations=quantise or [],
            margin=margin,
            grade=bool(grade),
            force=bool(force),
        )
        start_export(site.need_root(request), options)
        return site.went(request, "/ship")

    @app.post("/ship/stop")
    def end_export(request: Request) -> Response:
        stop_export(site.need_root(request))
        return site.went(request, "/ship")


def _add_gate(app: FastAPI, site: Site) -> None:
    @app.get("/ship/gate")
    def show_gate(
        request: Request,
        baseline: Annotated[str, Query(max_length=64)] = "",
        margin: Points = 100 * _DEFAULTS.margin,
        strict: bool = False,
    ) -> Response:
        root, results = site.need_root(request), site.results(request)
        limits = GateLimits(margin=margin / 100, strict=strict)
        words = f"gate --baseline {baseline}" if baseline in _list_baselines(results) else "gate"
        chosen = baseline if baseline in _list_baselines(results) else ""
        words += f" --margin {margin:g}" + (" --strict" if strict else "")
        report, problem = None, ""
        try:
            report = gate(site.store(request), root, chosen, limits)
        except ResidencyError as error:  # e.g. a run before this one that has no model
            problem = f"{error.what}. {error.next_step}".strip()
        return site.part(
            request,
            "ship_gate.html.j2",
            report=report,
            problem=problem,
            command=site.command(request, words),
        )


def _add_use(app: FastAPI, site: Site) -> None:
    @app.get("/ship/use")
    def show_use(
        request: Request, days: Annotated[float, Query(ge=0.01, le=3650)] = 30
    ) -> Response:
        store, config = site.store(request), site.config(request)
        used = read_usage(store, days=days, price_per_hour=config.serve.machine_price)
        traffic = 0
        with contextlib.suppress(ResidencyError):
            traffic = store.count("traffic")
        return site.part(
            request,
            "ship_use.html.j2",
            used=used,
            days=days,
            traffic=traffic,
            usage_command=site.command(request, f"usage --days {days:g}"),
            ingest_command=site.command(request, "ingest log"),
            collect_command=site.command(request, "collect --traffic"),
        )


def _name_model(results: RunResults, model: ModelResult) -> str:
    """The name by which commands call a model: it goes into the files' names."""
    if model.id == results.final_id:
        return "final"
    return f"round-{model.number}" if model.arm == "main" else model.id


def _list_baselines(results: RunResults) -> dict[str, str]:
    """What a gate may compare with, by the name of its option: the run before, and each model."""
    runs = [run for run in results.store.runs() if run != results.run]
    known = {"previous": "the run before"} if runs else {}
    return known | {m.name: m.label for m in results.models if m.id != results.final_id}
