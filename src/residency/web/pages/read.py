"""Read: answers to note, notes grouped into modes, modes made kinds that later rounds measure."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.propose_kind import add_kind, propose_kind
from residency.commands.rate_kind import rate_kind
from residency.commands.read import (
    LONGEST_NOTE,
    SAMPLE,
    Reading,
    SampledAnswer,
    draw_sample,
    load_reading,
    load_sample,
    make_grouping,
    make_note,
    make_renaming,
    suggest_modes,
)
from residency.errors import UserError
from residency.loop.measure_kinds import MODES_KEY, load_notes
from residency.project.named_kinds import Way
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.web.limited_work import limit_waiting
from residency.web.open_projects import open_alone
from residency.web.site import Site

SHOWN_ANSWERS = 5
"""Answers to read on one page."""
SHOWN_NOTES = 100
"""Notes of one list on a page."""
JUDGE_SECONDS = 30.0
"""How long a page waits for a judge."""
NO_MODE = ":"
"""In a form: the notes were in no mode. No mode can be called so, and an empty field counts as absent."""
_WAYS: dict[str, Way] = {name: name for name in get_args(Way)}


def add_routes(app: FastAPI, site: Site) -> None:
    """``/read``, ``/read/modes`` and what is written there."""
    _add_answers(app, site)
    _add_modes(app, site)
    _add_kinds(app, site)


def _add_answers(app: FastAPI, site: Site) -> None:
    @app.get("/read")
    def show_answers(request: Request, model: str = "") -> Response:
        results = site.results(request)
        chosen = _choose_model(results, model)
        reading = _load(site, request, chosen)
        shown = reading.left[:SHOWN_ANSWERS]
        return site.page(
            request,
            "read.html.j2",
            here="/read",
            command=f"read --model {chosen}",
            results=results,
            model=chosen,
            reading=reading,
            cases=_load_cases(results, shown),
            longest=LONGEST_NOTE,
        )

    @app.post("/read/sample")
    def choose_answers(
        request: Request,
        model: Annotated[str, Form(max_length=64)],
        count: Annotated[int, Form(ge=1, le=1000)] = SAMPLE,
    ) -> Response:
        before = len(load_sample(site.store(request), model))
        with open_alone(site, request) as ws:
            chosen = draw_sample(ws, model=model, count=count)
        after = len(load_sample(site.store(request), chosen))
        if before == after < count:
            raise UserError(
                f"all {after} answers that may be read are chosen",
                next_step="group the notes, or read another model's answers",
            )
        return site.went(request, f"/read?model={chosen}")

    @app.post("/read/notes/{response}")
    def add_note(
        request: Request,
        response: str,
        text: Annotated[str, Form(max_length=10 * LONGEST_NOTE)] = "",
        fine: Annotated[str, Form(max_length=4)] = "",
    ) -> Response:
        if not text.strip() and not fine:
            raise UserError("the note is empty", next_step="write the first failure, or press Fine")
        note = "" if fine else text
        person = site.need_person(request)
        model, body = make_note(site.store(request), response, note, person)
        site.write(request, RecordKind.NOTE, model, body)
        if not request.headers.get("HX-Request"):
            return site.went(request, f"/read?model={model}")
        results = site.results(request)
        reading = _load(site, request, model)
        cases = _load_cases(results, [a for a in reading.sample if a.response == response])
        return site.part(
            request,
            "read_note.html.j2",
            case=cases[0] if cases else None,
            note=body["text"],
            response=response,
            reading=reading,
            longest=LONGEST_NOTE,
        )


def _add_modes(app: FastAPI, site: Site) -> None:
    @app.get("/read/modes")
    def show_modes(request: Request, model: str = "", suggest: bool = False) -> Response:
        results = site.results(request)
        chosen = _choose_model(results, model)
        groups = []
        if suggest:
            with open_alone(site, request) as ws:
                groups = suggest_modes(ws, chosen)
        reading = _load(site, request, chosen)
        names = {mode.name for mode in reading.modes}
        return site.page(
            request,
            "modes.html.j2",
            here="/read",
            title="Modes, suggested" if suggest else "Modes",
            command=f"read --model {chosen} --suggest",
            results=results,
            model=chosen,
            reading=reading,
            ungrouped=reading.ungrouped[:SHOWN_NOTES],
            hidden_notes=max(0, len(reading.ungrouped) - SHOWN_NOTES),
            others=[k for k in reading.kinds.values() if k.name not in names],
            **_describe_ways(site, request),
            groups=groups,
            suggest=suggest,
        )

    @app.post("/read/modes")
    def group_notes(
        request: Request,
        mode: Annotated[str, Form(max_length=200)] = "",
        note: Annotated[list[str] | None, Form()] = None,
        model: Annotated[str, Form(max_length=64)] = "",
        out: Annotated[str, Form(max_length=4)] = "",
        seen_in: Annotated[str | None, Form(max_length=200)] = None,
    ) -> Response:
        if not mode.strip() and not out:
            raise UserError("the mode has no name", next_step="name it in the user's words")
        person = site.need_person(request)
        notes = load_notes(site.store(request))
        was = "" if seen_in == NO_MODE else seen_in
        body = make_grouping(notes, note or [], "" if out else mode, seen_in=was)
        site.write(request, RecordKind.MODE, MODES_KEY, {**body, "reader": person})
        return site.went(request, f"/read/modes?model={model}" if model else "/read/modes")

    @app.post("/read/modes/rename")
    def rename_mode(
        request: Request,
        mode: Annotated[str, Form(max_length=200)],
        to: Annotated[str, Form(max_length=200)],
        model: Annotated[str, Form(max_length=64)] = "",
    ) -> Response:
        person = site.need_person(request)
        body = make_renaming(load_notes(site.store(request)), mode, to)
        site.write(request, RecordKind.MODE, MODES_KEY, {**body, "reader": person})
        return site.went(request, f"/read/modes?model={model}" if model else "/read/modes")


def _add_kinds(app: FastAPI, site: Site) -> None:
    @app.post("/read/kinds")
    def make_kind(
        request: Request,
        mode: Annotated[str, Form(max_length=200)],
        by: Annotated[str, Form(max_length=20)],
        criterion: Annotated[str, Form(max_length=2000)] = "",
        add: Annotated[str, Form(max_length=4)] = "",
        model: Annotated[str, Form(max_length=64)] = "",
        place: Annotated[int, Form(ge=0)] = 0,
    ) -> Response:
        if by not in _WAYS:
            raise UserError(f"{by[:40]!r} is no way to measure", next_step=", ".join(_WAYS))
        person = site.need_person(request)
        with open_alone(site, request) as ws:
            ws.progress = limit_waiting(request, JUDGE_SECONDS, "the judge")
            proposal = propose_kind(ws, mode, _WAYS[by], criterion=criterion, reader=person)
            added = add_kind(ws, proposal) if add else None
            rates = rate_kind(ws, proposal.kind)
        if not request.headers.get("HX-Request"):
            return site.went(request, "/read/modes")
        reading = _load(site, request, model) if added and model else None
        modes = reading.modes if reading else []
        return site.part(
            request,
            "kind.html.j2",
            proposal=proposal,
            added=added,
            rates=rates,
            reading=reading,
            mode=next((known for known in modes if known.name == mode), None),
            model=model,
            place=place,
            **_describe_ways(site, request),
        )


def _describe_ways(site: Site, request: Request) -> dict[str, Any]:
    return {"has_judge": bool(site.config(request).judge.url), "most": SHOWN_NOTES}


def _choose_model(results: RunResults, model: str) -> str:
    """The model whose answers are read: the one named, or the last one."""
    known = [result.id for result in results.models]
    if model and model in known:
        return model
    return results.final_id or (known[-1] if known else "")


def _load(site: Site, request: Request, model: str) -> Reading:
    store, root = site.store(request), site.need_root(request)
    return load_reading(store, root, model, site.person(request))


def _load_cases(
    results: RunResults, answers: tuple[SampledAnswer, ...] | list[SampledAnswer]
) -> list[dict[str, object]]:
    """Texts of sampled answers; one that is no longer stored is passed over."""
    examples = {e.id: e for e in results.answers.examples([a.example for a in answers])}
    responses = results.store.responses_by_id([a.response for a in answers])
    return [
        {"answer": a, "example": examples[a.example], "response": responses[a.response]}
        for a in answers
        if a.example in examples and a.response in responses
    ]
