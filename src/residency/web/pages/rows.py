"""Rows that issues drew, as a pull request: each with what it serves and how near it comes to dev and
test; accepted, rejected or edited, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.rows import decide_row, finish_review
from residency.errors import DataError, UserError
from residency.project.row_decisions import Decision, RowDecision, list_decisions
from residency.results.next_actions import find_waiting_round
from residency.results.row_review import (
    count_drawn_states,
    find_neighbours,
    list_drawn_rows,
    load_cases,
)
from residency.web.paging import Page, make_pager
from residency.web.request_project import NotStartedError
from residency.web.site import Site

SHOWN_ROWS = 10
"""Rows on one page."""
_DECISIONS: dict[str, Decision] = {"accept": "accept", "reject": "reject", "edit": "edit"}


def add_routes(app: FastAPI, site: Site) -> None:
    """``/rows``, the decision of one, and that all were looked at."""

    @app.get("/rows")
    def show_rows(
        request: Request, issue: str = "", state: str = "", number: int = 0, page: Page = 1
    ) -> Response:
        results = site.results(request)
        chosen = results.issue(issue) if issue else None
        issue_id = chosen.issue.id if chosen else ""
        counts = count_drawn_states(results, issue=issue_id, number=number)
        total = sum(n for name, n in counts.items() if state in ("", name))
        pager = make_pager(total, page, SHOWN_ROWS, issue=issue_id, state=state)
        rows = list_drawn_rows(
            results, issue=issue_id, number=number, state=state,
            offset=(page - 1) * SHOWN_ROWS, limit=SHOWN_ROWS,
        )  # fmt: skip
        return site.page(
            request,
            "rows.html.j2",
            here="/issues",
            title=f"Rows of {chosen.title}" if chosen else "Rows",
            command=f"rows --issue {issue_id}" if issue_id else "rows",
            issue=chosen,
            state=state,
            counts=counts,
            waiting=find_waiting_round(results),
            cases=load_cases(results, rows),
            pager=pager,
        )

    @app.post("/rows/{row}")
    def decide(
        request: Request,
        row: str,
        decision: Annotated[str, Form()],
        reason: Annotated[str, Form(max_length=2000)] = "",
        prompt: Annotated[str | None, Form(max_length=200_000)] = None,
        answer: Annotated[str | None, Form(max_length=200_000)] = None,
        seen: Annotated[int | None, Form(ge=0)] = None,
    ) -> Response:
        if decision not in _DECISIONS:
            raise DataError("a row is accepted, rejected or edited", where=decision[:40])
        _check_seen(list_decisions(site.store(request), row), seen)
        is_edit = decision == "edit"
        decide_row(
            site.workspace(request),
            row,
            _DECISIONS[decision],
            who=site.need_person(request),
            reason=reason,
            prompt=prompt if is_edit else None,
            answer=answer if is_edit else None,
        )
        if not request.headers.get("HX-Request"):
            return site.went(request, "/rows")
        results = site.results(request)
        drawn = list_drawn_rows(results, example=row, limit=1)
        if not drawn:
            raise NotStartedError("the row is not there any more", next_step="load the page again")
        return site.part(request, "row_case.html.j2", case=load_cases(results, drawn)[0])

    @app.get("/rows/{row}/near")
    def show_near(request: Request, row: str) -> Response:
        results = site.results(request)
        drawn = list_drawn_rows(results, example=row, limit=1)
        near = find_neighbours(results, [r.example for r in drawn])
        return site.part(request, "row_near.html.j2", neighbours=near[0] if near else [])

    @app.post("/rows-reviewed")
    def finish(request: Request) -> Response:
        finish_review(site.workspace(request), who=site.need_person(request))
        return site.went(request, "/run")


def _check_seen(decisions: Sequence[RowDecision], seen: int | None) -> None:
    """Nobody decides against a decision that their page did not show.

    Raises:
        UserError: somebody has decided since the page was drawn.
    """
    if seen is None or len(decisions) <= seen:
        return
    last = decisions[-1]
    reason = f" ({last.reason})" if last.reason else ""
    raise UserError(
        f"{last.who or 'somebody'} has decided meanwhile: {last.decision}{reason}; yours was not stored",
        next_step="load the page again, and decide once more if you see it otherwise",
    )
