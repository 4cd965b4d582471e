"""Items: every dev item and what each model got wrong in it, a page at a time."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from residency.results.item_list import (
    LISTED_CHANGES,
    list_answers,
    list_items,
    list_tags,
    main_models,
)
from residency.web.paging import Page, make_pager
from residency.web.site import Site

LISTED_ITEMS = 50
"""Items of the list on one page."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/items`` and ``/items/{example}``."""

    @app.get("/items")
    def show_items(
        request: Request, kind: str = "", tag: str = "", change: str = "", page: Page = 1
    ) -> Response:
        results = site.results(request)
        filters = {"kind": kind, "tag": tag, "change": change}
        offset = (page - 1) * LISTED_ITEMS
        items = list_items(results, **filters, offset=offset, limit=LISTED_ITEMS)
        return site.page(
            request,
            "items.html.j2",
            here="/items",
            results=results,
            models=main_models(results),
            items=items,
            tags=list_tags(results),
            changes=LISTED_CHANGES,
            chosen=filters,
            pager=make_pager(items.total, page, LISTED_ITEMS, **filters),
        )

    @app.get("/items/{example}")
    def show_item(request: Request, example: str) -> Response:
        results = site.results(request)
        item = results.answers.find_example(example)
        return site.page(
            request,
            "item.html.j2",
            here="/items",
            title=item.id,
            command=f"trace {item.id}",
            example=item,
            answers=list_answers(results, item),
        )
