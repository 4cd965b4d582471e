"""The second half of Start: what the data doctor finds, cleaning, the base model, and the plan."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.project.workspace import Workspace
from residency.web.open_projects import open_alone
from residency.web.site import Site

REMOVED_KINDS = {
    "contamination": "too near to dev, to test or to a benchmark",
    "mojibake": "broken characters (wrong encoding)",
    "template_marks": "marks of a chat template within the text",
    "placeholders": "placeholders never filled in",
    "refusals": "answers that refuse",
    "repetitive": "answers that repeat themselves",
    "secrets": "secrets such as keys",
}
"""Kinds of rows that cleaning leaves out, in words; others are words already."""


def add_routes(app: FastAPI, site: Site) -> None:
    """Parts of ``/start`` that take a while, and the settings that are changed there."""

    @app.get("/start/check")
    def show_check(request: Request) -> Response:
        from residency.commands.check import check
        from residency.data.cleaning.cleaned_copy import DROPPED

        checked = check(site.need_root(request))
        removable: dict[str, dict[str, int]] = {}
        for (split, kind), rows in sorted(checked.removable.items()):
            removable.setdefault(kind, {})[split] = rows
        return site.part(
            request,
            "start_check.html.j2",
            checked=checked,
            removable=removable,
            optional=DROPPED,
            kinds=REMOVED_KINDS,
            command=site.command(request, "check"),
        )

    @app.post("/start/clean")
    def clean_data(
        request: Request,
        optional: Annotated[list[str] | None, Form()] = None,
        leave_out: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        """``optional``: kinds that a person could choose; ``leave_out``: those that were ticked."""
        from residency.commands.set_up import use_cleaned_data

        site.need_person(request)
        keep = set(optional or ()) - set(leave_out or ())
        checked = use_cleaned_data(site.need_root(request), keep=keep)
        return site.part(
            request, "start_cleaned.html.j2", fixed=checked.fixed, config=site.config(request)
        )

    @app.get("/start/suite")
    def show_suite(request: Request) -> Response:
        return _show_suite(site, request)

    @app.post("/start/suite")
    def draft_suite(request: Request) -> Response:
        from residency.commands.suite import find_free_name, write_suite_draft

        site.need_person(request)
        name = find_free_name(site.need_root(request))
        with open_alone(site, request) as ws:
            write_suite_draft(ws, out=name, use=True, compare=False)
        return _show_suite(site, request, drafted=name)

    @app.post("/start/base")
    def choose_base(
        request: Request,
        base: Annotated[str, Form(max_length=400)] = "",
        other: Annotated[str, Form(max_length=400)] = "",
    ) -> Response:
        from residency.commands.set_up import set_base

        set_base(site.need_root(request), other or base)
        return site.went(request, "/start#base")

    @app.post("/start/review")
    def choose_review(request: Request, review: Annotated[bool, Form()] = False) -> Response:
        from residency.commands.set_up import set_review

        set_review(site.need_root(request), review)
        return site.went(request, "/start#plan")

    @app.get("/start/plan")
    def show_plan(request: Request) -> Response:
        from residency.loop.run_plan import plan_run

        ws = Workspace(site.need_root(request), site.config(request))
        stages = plan_run(ws)
        return site.part(
            request, "start_plan.html.j2", stages=stages, sizes=ws.sizes, estimate=None, minutes=0.0
        )

    @app.post("/start/estimate")
    def show_estimate(request: Request) -> Response:
        from residency.commands.estimate import estimate
        from residency.loop.run_plan import plan_run

        ws = Workspace(site.need_root(request), site.config(request))
        costs = estimate(ws)
        stages = plan_run(ws)
        steps = sum(stage.work for stage in stages if stage.kind == "steps")
        return site.part(
            request,
            "start_plan.html.j2",
            stages=stages,
            sizes=ws.sizes,
            estimate=costs,
            minutes=(steps * costs.step_seconds + costs.frozen_seconds) / 60,
        )


def _show_suite(site: Site, request: Request, drafted: str = "") -> Response:
    """What the suite asks, and what it passes and fails of right and wrong answers."""
    from residency.loop.measure_sensitivity import measure_sensitivity
    from residency.results.blind_spots import describe_sensitivity, is_blind_score

    config, root = site.config(request), site.need_root(request)
    with open_alone(site, request) as ws:
        table = measure_sensitivity(ws)
    suite = config.evaluate.suite
    return site.part(
        request,
        "start_suite.html.j2",
        suite=suite,
        drafted=drafted,
        text=(root / suite).read_text(encoding="utf-8") if suite else "",
        table=table,
        blind=is_blind_score(table),
        command=site.command(request, "suite draft --use", verbs=2),
        **describe_sensitivity(table),
    )
