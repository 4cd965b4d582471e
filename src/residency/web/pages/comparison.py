"""Runs and models in a list, and any two of them item by item."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from residency.report.word_difference import mark_difference
from residency.results.model_comparison import (
    ANY,
    FLIPS,
    ComparedModels,
    compare_models,
    load_compared_answers,
)
from residency.results.model_list import ListedRun, find_run_of, list_runs
from residency.results.primary_change import compare_stored_primary, describe_primary
from residency.results.run_results import RunResults
from residency.results.units_sentence import tell_run_units
from residency.web.open_projects import open_alone, stamp_files
from residency.web.paging import Page, make_pager
from residency.web.remembered import Remembered
from residency.web.site import Site

COMPARED_ITEMS = 10
"""Items of a comparison on one page."""
AT_ONCE = 20_000
"""Of more dev items the page comes first and is filled when they are compared."""


@dataclass(frozen=True)
class _Pair:
    """Two models by id, the run of the later one, and what their comparison is remembered by."""

    before: str
    after: str
    runs: list[ListedRun]
    results: RunResults
    key: Hashable

    def compare(self) -> ComparedModels:
        return compare_models(self.results, self.before, self.after)


def add_routes(app: FastAPI, site: Site) -> None:
    """``/runs``, ``/compare`` and its parts."""
    known: Remembered[ComparedModels] = Remembered(most=8)
    _add_lists(app, site)
    _add_pages(app, site, known, lambda request, *names: _choose_pair(site, request, *names))


def _choose_pair(site: Site, request: Request, before: str, after: str) -> _Pair:
    """The models that the address names; by default the latest run's first and its final one."""
    final = site.results(request).final_id
    runs = list_runs(site.store(request), lambda run: site.results(request, run))
    # A run may be known by its answers alone (a sweep under a changed suite): it has no models.
    first = next((run.models[0][0].id for run in runs if run.is_latest and run.models), "")
    before = before or first
    after = after or final or before
    results = site.results(request, find_run_of(runs, after))
    contents = (results.store.count("responses"), results.store.count("outcomes"))
    key = (site.need_root(request), results.run, before, after, contents)
    return _Pair(before, after, runs, results, key)


def _add_lists(app: FastAPI, site: Site) -> None:
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
        """What models are compared by, as ``residency compare`` says it.

        Two models of the latest run stand as the run judged them while its suite and settings are those
        in use; others are graded, once for the same settings, rows, answers and findings.
        """

        def grade() -> str:
            results = site.results(request)
            with open_alone(site, request) as ws:
                judged_by = results.opened.get("suite"), results.opened.get("settings")
                if judged_by == (ws.suite.hash, ws.list_result_settings()):
                    change = compare_stored_primary(results, before, after)
                    if change is not None:
                        return describe_primary(change)
                from residency.commands.compare import compare

                return describe_primary(compare(ws, before, after, "dev").primary)

        root, store = site.need_root(request), site.store(request)
        contents = (stamp_files(root), store.count("responses"), store.count("findings"))
        line = lines.find((root, store.latest_run(), before, after, contents), grade)
        return site.part(request, "compare_metric.html.j2", line=line)


def _add_pages(
    app: FastAPI,
    site: Site,
    known: Remembered[ComparedModels],
    choose: Callable[[Request, str, str], _Pair],
) -> None:
    @app.get("/compare")
    def show_comparison(
        request: Request,
        before: str = "",
        after: str = "",
        flip: str = "",
        page: Page = 1,
        now: bool = False,
    ) -> Response:
        pair = choose(request, before, after)
        frame: dict[str, Any] = {
            "here": "/",
            "title": f"Two models: {flip}" if flip in FLIPS else "Two models",
            "command": f"compare {pair.before} {pair.after}",
            "pair": pair,
            "flips": FLIPS,
            "flip": flip,
        }
        items = len(pair.results.answers.positions("dev"))
        if items > AT_ONCE and not now and not known.knows(pair.key):
            return site.page(request, "compare_wait.html.j2", items=items, **frame)
        compared = known.find(pair.key, pair.compare)
        fitting = [item for item in compared.items if flip in ("", item.flip)]
        filters = {"before": pair.before, "after": pair.after, "flip": flip}
        pager = make_pager(len(fitting), page, COMPARED_ITEMS, **filters)
        shown = load_compared_answers(pair.results, fitting[pager.start : pager.stop])
        return site.page(
            request,
            "compare.html.j2",
            labels={m.id: (m.label, run) for run in reversed(pair.runs) for m, _ in run.models},
            compared=compared,
            any_failure=ANY,
            counts=compared.count_flips(),
            shown=[
                (sample, mark_difference(sample.before.text, sample.after.text)) for sample in shown
            ],
            pager=pager,
            units=tell_run_units(pair.results),
            **frame,
        )

    @app.get("/compare/work")
    def work_out(request: Request, before: str, after: str) -> Response:
        """Compare many items, and lead to the page that shows it."""
        pair = choose(request, before, after)
        known.find(pair.key, pair.compare)
        words = urlencode({"before": before, "after": after, "now": 1})
        return site.went(
            request, f"/compare?{words}"
        )  # now: a run may have answered more meanwhile
