"""Overview: the answer first; runs and models; any two models compared; the report as a page."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from residency.report.word_difference import mark_difference
from residency.report.write_report import render_report
from residency.results.headline import write_headline
from residency.results.model_comparison import (
    ANY,
    FLIPS,
    ComparedModels,
    compare_models,
    load_compared_answers,
)
from residency.results.model_list import find_run_of, list_runs
from residency.results.run_results import RunResults
from residency.web.open_projects import open_alone, stamp_files
from residency.web.paging import Page, make_pager
from residency.web.remembered import Remembered
from residency.web.site import Site

COMPARED_ITEMS = 10
"""Items of a comparison on one page."""
_REPORT_POLICY = "frame-ancestors 'none'"
"""The report carries its own, stricter policy for everything else."""


def add_routes(app: FastAPI, site: Site) -> None:
    """``/``, ``/runs``, ``/compare`` and ``/report``."""
    add_comparison(app, site)

    @app.get("/")
    def show_overview(request: Request) -> Response:
        results = site.results(request)
        return site.page(
            request,
            "overview.html.j2",
            here="/",
            command="status",
            results=results,
            head=write_headline(results),
        )

    @app.get("/report")
    def show_report(request: Request) -> Response:
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return HTMLResponse(render_report(site.results(request)), headers=headers)


def add_comparison(app: FastAPI, site: Site) -> None:
    """Runs and models in a list, and two of them side by side."""
    known: WeakKeyDictionary[RunResults, dict[tuple[str, str], ComparedModels]]
    known = WeakKeyDictionary()
    lines: Remembered[str] = Remembered()

    @app.get("/runs")
    def show_runs(request: Request) -> Response:
        results = site.results(request)
        return site.page(
            request,
            "runs.html.j2",
            here="/",
            title="Runs and models",
            command="status",
            runs=list_runs(site.store(request), lambda run: site.results(request, run)),
            final=results.final_id or results.models[-1].id if results.models else "",
        )

    @app.get("/compare/metric")
    def show_metric(request: Request, before: str, after: str) -> Response:
        """What models are compared by, as ``residency compare`` says it; graded when it is asked for.

        It is graded once for the same settings, rows, answers and findings.
        """
        from residency.commands.compare import compare, describe_primary

        def grade() -> str:
            with open_alone(site, request) as ws:
                return describe_primary(compare(ws, before, after, "dev").primary)

        root, store = site.need_root(request), site.store(request)
        contents = (stamp_files(root), store.count("responses"), store.count("findings"))
        line = lines.find((root, before, after, contents), grade)
        return site.part(request, "compare_metric.html.j2", line=line)

    @app.get("/compare")
    def show_comparison(
        request: Request, before: str = "", after: str = "", flip: str = "", page: Page = 1
    ) -> Response:
        final = site.results(request).final_id
        runs = list_runs(site.store(request), lambda run: site.results(request, run))
        # A run may be known by its answers alone (a sweep under a changed suite): it has no models.
        first = next((run.models[0][0].id for run in runs if run.is_latest and run.models), "")
        before = before or first
        after = after or final or before
        results = site.results(request, find_run_of(runs, after))
        mine = known.setdefault(results, {})
        if (before, after) not in mine:
            mine[before, after] = compare_models(results, before, after)
        compared = mine[before, after]
        fitting = [item for item in compared.items if flip in ("", item.flip)]
        filters = {"before": before, "after": after, "flip": flip}
        pager = make_pager(len(fitting), page, COMPARED_ITEMS, **filters)
        shown = load_compared_answers(results, fitting[pager.start : pager.stop])
        labels = {m.id: (m.label, run) for run in reversed(runs) for m, _ in run.models}
        return site.page(
            request,
            "compare.html.j2",
            here="/",
            title=f"Two models: {flip}" if flip in FLIPS else "Two models",
            command=f"compare {before} {after}",
            runs=runs,
            labels=labels,
            compared=compared,
            any_failure=ANY,
            counts=compared.count_flips(),
            flips=FLIPS,
            flip=flip,
            shown=[(own, mark_difference(own.before.text, own.after.text)) for own in shown],
            pager=pager,
        )
