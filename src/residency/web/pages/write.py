"""Write better answers: the worst items, the model's answer to edit, and how far the goal is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.better_answers import (
    add_better_answer,
    is_answering,
    list_worst_stored,
    read_last_words,
    start_answering,
)
from residency.commands.collect import GOAL
from residency.data.collected_rows import read_collected
from residency.results.run_results import RunResults
from residency.web.open_projects import open_alone
from residency.web.paging import Page, make_pager
from residency.web.site import Site

SHOWN_ITEMS = 5
"""Items on one page."""
LONGEST_ANSWER = 100_000


def add_routes(app: FastAPI, site: Site) -> None:
    """``/write``, one better answer, and the model's answers to the pool."""

    @app.get("/write")
    def show_items(request: Request, model: str = "", page: Page = 1) -> Response:
        results, root = site.results(request), site.need_root(request)
        chosen = _choose_model(results, model)
        offset = (page - 1) * SHOWN_ITEMS
        items, total = list_worst_stored(results, root, chosen, offset=offset, limit=SHOWN_ITEMS)
        return site.page(
            request,
            "write.html.j2",
            here="/write",
            command=f"collect --model {chosen}",
            results=results,
            model=chosen,
            items=items,
            total=total,
            running=is_answering(root),
            last_words=read_last_words(root),
            pool=results.store.corpus_sizes(results.run).get("pool", 0),
            pager=make_pager(total, page, SHOWN_ITEMS, model=model),
            longest=LONGEST_ANSWER,
            **_count(site, request),
        )

    @app.post("/write/answer/{response}")
    def save_answer(
        request: Request,
        response: str,
        answer: Annotated[str, Form(max_length=LONGEST_ANSWER)],
    ) -> Response:
        person = site.need_person(request)
        results = site.results(request)
        with open_alone(site, request) as ws:
            row = add_better_answer(ws, results.run, response, answer, person=person)
        if not request.headers.get("HX-Request"):
            return site.went(request, "/write")
        counts = _count(site, request)
        return site.part(request, "write_saved.html.j2", row=row, **counts)

    @app.post("/write/pool")
    def answer_pool(
        request: Request,
        model: Annotated[str, Form(max_length=64)],
        rows: Annotated[int, Form(ge=1, le=100_000)] = 50,
    ) -> Response:
        site.need_person(request)
        chosen = _choose_model(site.results(request), model)
        start_answering(site.need_root(request), chosen, rows)
        return site.went(request, f"/write?model={chosen}")

    @app.get("/write/state")
    def show_state(request: Request, model: str = "") -> Response:
        results, root = site.results(request), site.need_root(request)
        chosen = _choose_model(results, model)
        stored = results.store.count_answered(results.run, "pool", chosen)
        running = is_answering(root)
        return site.part(
            request, "write_state.html.j2", stored=stored, running=running, model=chosen
        )


def _count(site: Site, request: Request) -> dict[str, Any]:
    rows = read_collected(site.need_root(request))
    return {
        "collected": len(rows.examples),
        "pairs": sum(example.rejected is not None for example in rows.examples),
        "goal": GOAL,
    }


def _choose_model(results: RunResults, model: str) -> str:
    known = [result.id for result in results.models]
    return model if model in known else results.final_id or (known[-1] if known else "")
