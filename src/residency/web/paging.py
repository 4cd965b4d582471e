"""Long lists in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query

Page = Annotated[int, Query(ge=1, le=10_000_000)]
"""The number of a page in an address."""


@dataclass(frozen=True)
class Pager:
    """One page of a list: what it holds (``start:stop`` of ``total``) and where the others are."""

    total: int
    page: int
    pages: int
    start: int
    stop: int
    before: str
    after: str


def make_pager(total: int, page: int, size: int, **filters: str) -> Pager:
    """The pager of a list of ``total``; a page beyond the end is empty.

    Args:
        filters: query parameters that the links keep.
    """
    pages = max(1, -(-total // size))

    def link(number: int) -> str:
        active_filters = {name: value for name, value in filters.items() if value}
        return "?" + urlencode({**active_filters, "page": number})

    return Pager(
        total=total,
        page=page,
        pages=pages,
        start=min(total, (page - 1) * size),
        stop=min(total, page * size),
        before=link(min(page - 1, pages)) if page > 1 else "",
        after=link(page + 1) if page < pages else "",
    )
