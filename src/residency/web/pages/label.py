"""Label: does an answer really have an issue's failure? Asked blindly; the issue's rate is corrected."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.label import Labelling, make_label, open_labelling
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.web.open_projects import open_alone
from residency.web.site import Site

SHOWN_ANSWERS = 5
"""Answers to label on one page."""
MOST_LEFT = 1_000_000
"""Answers that are counted as left: all."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/issues/{issue}/labels`` and one label."""

    @app.get("/issues/{issue}/labels")
    def show_answers(request: Request, issue: str) -> Response:
        results = site.results(request)
        state = _load_labelling(site, request, issue)
        return site.page(
            request,
            "label.html.j2",
            here="/issues",
            title=f"Label: {state.title}",
            command=f"label {state.issue.id}",
            results=results,
            state=state,
            cases=_load_cases(results, state.left[:SHOWN_ANSWERS]),
        )

    @app.post("/issues/{issue}/labels/{response}")
    def save_label(
        request: Request,
        issue: str,
        response: str,
        fails: Annotated[Literal["yes", "no"], Form()],
    ) -> Response:
        person = site.need_person(request)
        kind = site.results(request).issue(issue).issue.kind
        body = make_label(site.store(request), response, fails == "yes", person)
        site.write(request, RecordKind.KIND_LABEL, kind, body)
        if not request.headers.get("HX-Request"):
            return site.went(request, f"/issues/{issue}/labels")
        state = _load_labelling(site, request, issue)
        cases = _load_cases(site.results(request), [response])
        return site.part(
            request, "label_saved.html.j2", state=state, case=cases[0], fails=fails == "yes"
        )


def _load_labelling(site: Site, request: Request, issue: str) -> Labelling:
    with open_alone(site, request) as ws:
        return open_labelling(ws, issue, person=site.person(request), count=MOST_LEFT)


def _load_cases(
    results: RunResults, responses: list[str] | tuple[str, ...]
) -> list[dict[str, object]]:
    answers = results.store.responses_by_id(list(responses))
    return [
        {"response": answers[key], "example": results.store.example(answers[key].example)}
        for key in responses
    ]
