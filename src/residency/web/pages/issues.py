"""Issues: the ledger of all rounds, and one of them as a queue of items to look at."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from residency.results.arm_sentences import tell_arms, tell_falls
from residency.results.issue_items import load_samples, page_changes
from residency.results.issue_ledger import list_ledger_rounds, list_ledger_rows
from residency.results.row_review import count_drawn_states
from residency.results.units_sentence import tell_run_units
from residency.web.paging import Page, make_pager
from residency.web.site import Site

ISSUE_ITEMS = 10
"""Items of an issue on one page."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/issues`` and ``/issues/{issue}``."""

    @app.get("/issues")
    def show_issues(request: Request) -> Response:
        results = site.results(request)
        return site.page(
            request,
            "issues.html.j2",
            here="/issues",
            command="status",
            results=results,
            rounds=list_ledger_rounds(results),
            rows=list_ledger_rows(results),
            units=tell_run_units(results),
            arm_lines=tell_arms(results.arms_tested, results.arms_plan),
            fall_lines=tell_falls(
                results.falls, {issue.issue.id: issue.title for issue in results.issues}
            ),
        )

    @app.get("/issues/{issue}")
    def show_issue(request: Request, issue: str, change: str = "", page: Page = 1) -> Response:
        results = site.results(request)
        result = results.issue(issue)
        offset = (page - 1) * ISSUE_ITEMS
        items = page_changes(
            results.answers, result, change=change, offset=offset, limit=ISSUE_ITEMS
        )
        return site.page(
            request,
            "issue.html.j2",
            here="/issues",
            title=result.title,
            command=f"trace {result.issue.id}",
            making=site.command(request, f"collect --issue {result.issue.id}"),
            results=results,
            view=result,
            units=tell_run_units(results),
            samples=load_samples(results.answers, result.issue, items.rows),
            others={item.example: item.other_failures for item in items.rows},
            whole=items.right,
            counts=items.counts,
            drawn=count_drawn_states(results, issue=result.issue.id),
            change=change,
            pager=make_pager(items.total, page, ISSUE_ITEMS, change=change),
        )
