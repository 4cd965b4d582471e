"""A sweep from beginning to end: costs, plan, jobs, curves, sizes, advice. Every step is resumable."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from residency.errors import DataError, ResidencyError
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import JobStore, open_job_store
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import run_jobs
from residency.loop.ask_servers import ask_servers
from residency.loop.item_outcomes import map_groups
from residency.nouns.issue import Issue
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.sweep.cell import Cell, Variant
from residency.sweep.curve_words import describe_issue, describe_score, name_rows_needed
from residency.sweep.learning_curve import CellOutcomes, LearningCurve, fit_curve
from residency.sweep.measured_cells import Measured, MeasuredCells, fail_items, retitle, score_items
from residency.sweep.measured_sizes import list_sizes, measure_endpoint
from residency.sweep.plan import SweepPlan, VariantCost, plan_sweep
from residency.sweep.size_table import mark_front, recommend_row
from residency.sweep.sweep_jobs import EstimateTraining, SweepJobs, list_jobs, measure_cost
from residency.sweep.sweep_notes import describe_equal_sizes, describe_failures
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.sweep_result import NamedCurve, SweepResult
from residency.text.counts import write_count

FEWEST_ITEMS = 8
"""Measuring items below which an issue gets no curve."""


@dataclass
class Sweep:
    """One sweep of a project.

    Args:
        ws: the project. estimate: memory and time of a training, by a probe.
    """

    ws: Workspace
    options: SweepOptions
    estimate: EstimateTraining
    store: JobStore = field(init=False)
    jobs: SweepJobs = field(init=False)
    variants: list[Variant] = field(init=False)
    _answered: list[Measured] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        options, ws = self.options, self.ws
        self.variants = options.list_variants(ws.config.model.base, ws.config.train)
        self.store = open_job_store(options.artifacts or str(ws.store.folder / "sweep"))
        threads = ws.config.model.threads
        if options.jobs > 1 and not threads:
            threads = max(1, (os.cpu_count() or 1) // options.jobs)
        self.jobs = SweepJobs(ws, self.store, threads)
        for variant in self.variants:
            _ = self.jobs.open_variant(variant).base  # none is fetched, or missed, half-way

    def ask(self) -> None:
        """Ask the servers that are needed: before the plan, whose costs are measured by real work.

        Raises:
            EndpointError: one does not answer.
        """
        if self._answered is None:
            ask_servers(self.ws)
            endpoint = self.options.endpoint
            self._answered = [] if endpoint is None else [measure_endpoint(self.ws, endpoint)]

    def plan(self) -> SweepPlan:
        """Measure what the variants cost, by a probe each, and choose the cells.

        Raises:
            DataError: there is too little to train or measure on. UserError: nothing fits the time.
        """
        train, dev = self.ws.split("train"), self.ws.split("dev")
        if len(train) < 3 or len(dev) < 2:
            raise DataError(
                f"a sweep needs 3 train rows and 2 dev items; there are {len(train)} and {len(dev)}",
                where="residency.toml [data]",
            )
        costs = self._measure_costs()
        answers = len(dev) * self.ws.config.generate.samples
        ways = 2 if self.ws.config.evaluate.few_shot else 1
        frozen = {cost.layer_key: cost.frozen_seconds for cost in costs.values()}
        bases = {v.base: costs[v.key].answer_seconds for v in self.variants}
        shared = sum(frozen.values()) + ways * answers * sum(bases.values())
        plan = plan_sweep(
            self.variants,
            costs,
            self.options,
            train_rows=len(train),
            answers=answers,
            shared=shared,
            workers=self.options.jobs,
        )
        ends = [self.jobs.make_cell(planned.cell)[-1] for planned in plan.cells]
        return replace(plan, done=sum(self.store.find_result(job.id) is not None for job in ends))

    def _measure_costs(self) -> dict[str, VariantCost]:
        """Cost by the variants' keys; what is the same work is probed once."""
        by_work: dict[str, VariantCost] = {}
        for variant in self.variants:
            if variant.work_key not in by_work:
                by_work[variant.work_key] = measure_cost(self.jobs, variant, self.estimate)
        return {variant.key: by_work[variant.work_key] for variant in self.variants}

    def run(self, plan: SweepPlan) -> SweepResult:
        """Do what is planned and not done, and say what it shows.

        Raises:
            StoreLockedError: another process writes to the project.
            EndpointError: a server that is needed does not answer; nothing was trained.
            ResidencyError: every training failed. Where only some did, the result says which.
        """
        began = time.monotonic()
        failed: list[tuple[Job, ResidencyError]] = []
        measured = MeasuredCells(self.ws, self.store)
        with self.ws.store.writer("sweep"):
            run = self.ws.store.latest_run() or self.ws.open_run()
            self.ask()
            cells = self._list_cells(plan)
            by_job = {jobs[-1].id: (name, cell) for name, cell, jobs in cells}

            def keep(job: Job, result: JobResult) -> None:
                if job.id in by_job:
                    name, cell = by_job[job.id]
                    measured.add(name, cell, result)

            with open_runner(
                self.store,
                count=self.options.jobs,
                cluster=self.options.cluster,
                progress=self.ws.progress,
            ) as runner:
                run_jobs(
                    list_jobs([jobs for _, _, jobs in cells]),
                    self.store,
                    runner,
                    on_done=keep,
                    on_failed=lambda job, error: failed.append((job, error)),
                    progress=self.ws.progress,
                )
            if failed and not any(one.cell for one in measured.all):
                raise failed[0][1]
            measured.all.sort(key=lambda m: (m.name, m.rows, m.cell.repeat if m.cell else 0))
            measured.all += self._answered or []
            missing = len(plan.cells) - sum(one.cell is not None for one in measured.all)
            result = self._conclude(run, plan, measured, time.monotonic() - began)
            result = replace(result, notes=(*describe_failures(failed, missing), *result.notes))
            self.ws.store.add_record(RecordKind.SWEEP, run, result.to_dict())
        return result

    # --- jobs ---------------------------------------------------------------------------------

    def _list_cells(self, plan: SweepPlan) -> list[tuple[str, Cell | None, Sequence[Job]]]:
        """Bare bases and planned trainings, each with its jobs in order."""
        out: list[tuple[str, Cell | None, Sequence[Job]]] = []
        ways = ("zero-shot", "few-shot")
        for variant in {v.base: v for v in self.variants}.values():
            memory = plan.costs[variant.key].memory
            for way, job in zip(ways, self.jobs.make_base(variant, memory), strict=False):
                out.append((f"{variant.base}, {way}", None, (job,)))
        for planned in plan.cells:
            memory = plan.costs[planned.cell.variant.key].memory
            jobs = self.jobs.make_cell(planned.cell, memory)
            out.append((planned.cell.variant.name, planned.cell, jobs))
        return out

    # --- what it shows ----------------------------------------------------------------------

    def _conclude(
        self, run: str, plan: SweepPlan, measured: MeasuredCells, seconds: float
    ) -> SweepResult:
        _, half = measured.halves
        issues = retitle(measured.find_known_issues(run))
        groups = map_groups(self.ws.split("dev"))
        metric = self.ws.primary_metric.title
        curves, notes = self._fit_curves(measured, issues, half, groups, metric)
        notes += describe_equal_sizes(self.options.shares, len(self.ws.split("train")))
        costs = {variant.name: plan.costs[variant.key] for variant in self.variants}
        price = self.options.hour_price
        sizes = mark_front(list_sizes(measured.all, issues, half, groups, costs, price))
        best, advice = recommend_row(sizes, groups, metric)
        if plan.left_out:
            notes.append(
                f"{write_count(len(plan.left_out), 'training was', 'trainings were')} left out for want of time: with "
                f"--minutes {plan.seconds_of_all / 60 + 1:.0f} they run too"
            )
        return SweepResult(
            run=run,
            metric=metric,
            plan=plan,
            curves=tuple(curves),
            sizes=tuple(sizes),
            best=best,
            advice=tuple(advice),
            notes=tuple(notes),
            seconds=seconds,
            measuring_items=len(half),
            issue_titles={issue.id: issue.title for issue in issues},
        )

    def _fit_curves(
        self,
        measured: MeasuredCells,
        issues: Sequence[Issue],
        half: set[str],
        groups: Mapping[str, str],
        metric: str,
    ) -> tuple[list[NamedCurve], list[str]]:
        curves: list[NamedCurve] = []
        few: list[str] = []
        rare: dict[str, None] = {}
        for variant in self.variants:
            cells = [m for m in measured.all if m.cell is not None and m.name == variant.name]
            scores = [_subtract_from_one(score_items(m, half)) for m in cells]
            if (curve := self._fit(cells, scores, groups)) is not None:
                words = describe_score(metric, curve)
                curves.append(NamedCurve(variant.name, "", metric, None, curve, tuple(words)))
            elif cells:
                few.append(f"{variant.name} has fewer than 3 sizes: no curve")
            for issue in issues:
                rates = [fail_items(issue, m, half) for m in cells]
                if not rates or sum(v is not None for v in rates[-1].values()) < FEWEST_ITEMS:
                    rare.setdefault(issue.title)
                    continue
                if (curve := self._fit(cells, rates, groups)) is not None:
                    words = describe_issue(issue.title, curve, issue.tolerance)
                    curves.append(
                        NamedCurve(
                            variant.name,
                            issue.id,
                            issue.title,
                            issue.tolerance,
                            curve,
                            tuple(words),
                            name_rows_needed(curve, issue.tolerance),
                        )
                    )
        if rare:
            few.append(f"no curve of {', '.join(rare)}: fewer than {FEWEST_ITEMS} items measure it")
        return curves, few

    def _fit(
        self,
        cells: Sequence[Measured],
        values: Sequence[Mapping[str, float | None]],
        groups: Mapping[str, str],
    ) -> LearningCurve | None:
        items = sorted({item for one in values for item in one})
        if not items:
            return None
        numbers: dict[str, int] = {}
        index = [numbers.setdefault(groups.get(item, item), len(numbers)) for item in items]
        outcomes = [
            CellOutcomes(
                cell.rows,
                np.array([np.nan if (v := one.get(item)) is None else v for item in items]),
            )
            for cell, one in zip(cells, values, strict=True)
        ]
        return fit_curve(outcomes, index, seed=self.ws.config.project.seed)


def _subtract_from_one(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {item: None if value is None else 1.0 - value for item, value in values.items()}
