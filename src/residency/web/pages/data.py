"""Data: rows of every split but the sealed test, what of a row is trained, and what was left out."""

from __future__ import annotations

from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.left_out import LeftOut, find_cleaned_away, load_left_out
from residency.data.token_rows import encode_example
from residency.errors import DataError, TemplateError
from residency.nouns.example import Example, Split
from residency.project.workspace import Workspace
from residency.report.highlight import highlight_trained
from residency.results.run_results import RunResults
from residency.web.open_projects import find_open_projects
from residency.web.paging import Page, make_pager
from residency.web.site import Site

SHOWN_ROWS = 20
"""Rows on one page."""
OPEN_SPLITS: tuple[Split, ...] = ("train", "dev", "pool", "replay")
"""Splits that may be looked at; test is sealed."""
Search = Annotated[str, Query(max_length=500)]


def add_routes(app: FastAPI, site: Site) -> None:
    """``/data``, one row of it, and the rows that were left out."""
    left_out: WeakKeyDictionary[Workspace, LeftOut] = WeakKeyDictionary()

    @app.get("/data")
    def show_rows(
        request: Request, split: str = "train", text: Search = "", page: Page = 1
    ) -> Response:
        results = site.results(request)
        chosen = _check_split(split)
        offset = (page - 1) * SHOWN_ROWS
        sizes = results.store.corpus_sizes(results.run)
        rows, total = results.store.search_corpus(
            results.run, chosen, text, offset=offset, limit=SHOWN_ROWS
        )
        return site.page(
            request,
            "data.html.j2",
            here="/data",
            title=f"Data: {chosen}",
            command="check --show 3",
            rows=rows,
            total=total,
            split=chosen,
            splits=[s for s in OPEN_SPLITS if s != "replay" or sizes.get(s)],
            sizes=sizes,
            text=text,
            notes=results.data.notes,
            pager=make_pager(total, page, SHOWN_ROWS, split=chosen, text=text),
        )

    @app.get("/data/rows/{example}")
    def show_row(request: Request, example: str) -> Response:
        results = site.results(request)
        row = _find_row(results, example)
        return site.page(
            request,
            "data_row.html.j2",
            here="/data",
            title=row.id,
            command=f"trace {row.id}",
            row=row,
        )

    @app.get("/data/rows/{example}/tokens")
    def show_tokens(request: Request, example: str) -> Response:
        row = _find_row(site.results(request), example)
        with find_open_projects(site).use(site.need_root(request)) as ws:
            chat = ws.chat_format
            try:
                encoded = encode_example(row, chat)
            except TemplateError as error:
                raise DataError(error.what, where=row.source, next_step=error.next_step) from None
            pieces = [chat.pieces(one.ids, one.mask) for one in encoded]
            counts = [(len(one.ids), sum(one.mask)) for one in encoded]
        return site.part(
            request,
            "data_tokens.html.j2",
            rows=[highlight_trained(one) for one in pieces],
            counts=counts,
        )

    @app.get("/data/left-out")
    def show_left_out(request: Request, kind: str = "", page: Page = 1) -> Response:
        root = site.need_root(request)
        with find_open_projects(site).use(root) as ws:
            if ws not in left_out:
                left_out[ws] = load_left_out(ws)
            known = left_out[ws]
            cleaned = find_cleaned_away(ws, SHOWN_ROWS)
        rows, total = known.list_rows(kind, offset=(page - 1) * SHOWN_ROWS, limit=SHOWN_ROWS)
        return site.page(
            request,
            "left_out.html.j2",
            here="/data",
            title="Left out",
            command="check",
            rows=rows,
            total=total,
            kind=kind,
            kinds=known.count_kinds(),
            rejects=known.rejects[:SHOWN_ROWS],
            rejected=len(known.rejects),
            cleaned=cleaned,
            pager=make_pager(total, page, SHOWN_ROWS, kind=kind),
        )


def _check_split(split: str) -> Split:
    for known in OPEN_SPLITS:
        if split == known:
            return known
    sealed = split == "test"
    raise DataError(
        "the test split is sealed" if sealed else f"there is no split {split[:20]!r}",
        next_step=f"choose {', '.join(OPEN_SPLITS)}",
    )


def _find_row(results: RunResults, example: str) -> Example:
    row = results.answers.find_example(example)
    _check_split(row.split)
    return row
