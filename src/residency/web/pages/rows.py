"""Rows that issues drew or that were made, as a pull request: each with what it serves and how near it
comes to dev and test; accepted, rejected or edited, with a reason."""

from __future__ import annotations

from collections import Counter
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
    ROW_STATES,
    RowCase,
    RowState,
    count_drawn_states,
    find_neighbours,
    list_drawn_rows,
    list_made_cases,
    load_cases,
    load_unserved_cases,
)
from residency.results.run_results import RunResults
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
        store, results = site.store(request), find_results(site, request)
        chosen = results.issue(issue) if issue and results else None
        issue_id = chosen.issue.id if chosen else ""
        offset = (page - 1) * SHOWN_ROWS
        made = [] if number else list_made_cases(store, issue=issue_id)
        if results is None and not made:
            raise NotStartedError("nothing was run here yet", next_step="residency run")
        counts = Counter[RowState](row.state for row in made)
        shown = [row for row in made if state in ("", row.state)]
        rows = shown[offset : offset + SHOWN_ROWS]
        if results is not None:
            counts.update(count_drawn_states(results, issue=issue_id, number=number))
            rows += list_drawn_rows(
                results, issue=issue_id, number=number, state=state,
                offset=max(0, offset - len(shown)), limit=SHOWN_ROWS - len(rows),
            )  # fmt: skip
        total = sum(n for name, n in counts.items() if state in ("", name))
        undecided = sum(row.state == "undecided" for row in made)
        return site.page(
            request,
            "rows.html.j2",
            here="/issues",
            title=f"Rows of {chosen.title}" if chosen else "Rows",
            command=f"rows --issue {issue_id}" if issue_id else "rows",
            issue=chosen,
            state=state,
            counts={name: counts[name] for name in ROW_STATES if counts[name]},
            waiting=find_waiting_round(results) if results else 0,
            made_wait=undecided if site.config(request).target.review else 0,
            cases=load_cases(results, rows) if results else load_unserved_cases(store, rows),
            pager=make_pager(total, page, SHOWN_ROWS, issue=issue_id, state=state),
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
        cases = load_case(site, request, row)
        if not cases:
            raise NotStartedError("the row is not there any more", next_step="load the page again")
        return site.part(request, "row_case.html.j2", case=cases[0])

    @app.get("/rows/{row}/near")
    def show_near(request: Request, row: str) -> Response:
        results = site.results(request)
        rows = list_made_cases(site.store(request), example=row)
        drawn = rows or list_drawn_rows(results, example=row, limit=1)
        near = find_neighbours(results, [r.example for r in drawn])
        return site.part(request, "row_near.html.j2", neighbours=near[0] if near else [])

    @app.post("/rows-reviewed")
    def finish(request: Request) -> Response:
        finish_review(site.workspace(request), who=site.need_person(request))
        return site.went(request, "/run")


def find_results(site: Site, request: Request) -> RunResults | None:
    """The latest run; None where rows were made and nothing was run yet."""
    return site.results(request) if site.store(request).latest_run() else None


def load_case(site: Site, request: Request, row: str) -> list[RowCase]:
    """One row (id) as it is reviewed; empty where there is no such row."""
    store, results = site.store(request), find_results(site, request)
    made = list_made_cases(store, example=row)[:1]
    if results is None:
        return load_unserved_cases(store, made)
    return load_cases(results, made or list_drawn_rows(results, example=row, limit=1))


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
