"""A sweep from beginning to end: costs, plan, jobs, curves, sizes, advice. Every step is resumable."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from residency.errors import DataError
from residency.interfaces import ProgressEvent
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import JobStore, open_job_store
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import run_jobs
from residency.loop.item_outcomes import map_groups
from residency.nouns.issue import Issue
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.sweep.cell import Cell, Variant
from residency.sweep.curve_words import describe_issue, describe_score
from residency.sweep.learning_curve import CellOutcomes, LearningCurve, fit_curve
from residency.sweep.measured_cells import Measured, MeasuredCells, fail_items, retitle, score_items
from residency.sweep.plan import SweepPlan, VariantCost, plan_sweep
from residency.sweep.size_table import (
    SizeRow,
    average_items,
    mark_front,
    measure_figure,
    recommend_row,
)
from residency.sweep.sweep_jobs import EstimateTraining, SweepJobs, list_jobs
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.sweep_result import NamedCurve, SweepResult

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

    def __post_init__(self) -> None:
        options, ws = self.options, self.ws
        self.store = open_job_store(options.artifacts or str(ws.store.folder / "sweep"))
        threads = ws.config.model.threads
        if options.jobs > 1 and not threads:
            threads = max(1, (os.cpu_count() or 1) // options.jobs)
        self.jobs = SweepJobs(ws, self.store, threads)
        self.variants = options.list_variants(ws.config.model.base, ws.config.train)

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
        costs = {variant.key: self._measure_cost(variant) for variant in self.variants}
        answers = len(dev) * self.ws.config.generate.samples
        ways = 2 if self.ws.config.evaluate.few_shot else 1
        frozen = {cost.layer_key: cost.frozen_seconds for cost in costs.values()}
        bases = {v.base: costs[v.key].answer_seconds for v in self.variants}
        shared = sum(frozen.values()) + ways * answers * sum(bases.values())
        return plan_sweep(
            self.variants,
            costs,
            self.options,
            train_rows=len(train),
            answers=answers,
            shared=shared,
            workers=self.options.jobs,
        )

    def run(self, plan: SweepPlan) -> SweepResult:
        """Do what is planned and not done, and say what it shows.

        Raises:
            StoreLockedError: another process writes to the project.
            ResidencyError: a job failed; what is done is kept.
        """
        began = time.monotonic()
        measured = MeasuredCells(self.ws, self.store)
        with self.ws.store.writer("sweep"):
            run = self.ws.store.latest_run() or self.ws.open_run()
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
                    progress=self.ws.progress,
                )
            measured.all.sort(key=lambda m: (m.name, m.rows, m.cell.repeat if m.cell else 0))
            result = self._conclude(run, plan, measured, time.monotonic() - began)
            self.ws.store.add_record(RecordKind.SWEEP, run, result.to_dict())
        return result

    # --- costs ------------------------------------------------------------------------------

    def _measure_cost(self, variant: Variant) -> VariantCost:
        ws = self.jobs.open_variant(variant)
        self.ws.progress(ProgressEvent("sweep: estimate", 0, 0, "", {"doing": variant.name}))
        estimate = self.estimate(ws)
        probe = self.jobs.make_probe(variant)
        with open_runner(self.store) as runner:
            answered = run_jobs([probe], self.store, runner)[probe.id].value
        frozen = self.jobs.make_frozen(variant)
        done = frozen is None or self.store.find_result(frozen.id) is not None
        return VariantCost(
            step_seconds=estimate.step_seconds,
            batch_size=ws.config.train.batch_size,
            epochs=ws.config.train.epochs,
            memory=estimate.memory,
            frozen_seconds=0.0 if done else estimate.frozen_seconds,
            answer_seconds=answered["seconds_each"],
            layer_key=frozen.id if frozen else variant.key,
        )

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
        sizes = mark_front(self._list_sizes(plan, measured, issues, half, groups))
        best, advice = recommend_row(sizes, groups, metric)
        if plan.left_out:
            notes.append(
                f"{len(plan.left_out)} trainings were left out for want of time: with "
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
                        )
                    )
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

    def _list_sizes(
        self,
        plan: SweepPlan,
        measured: MeasuredCells,
        issues: Sequence[Issue],
        half: set[str],
        groups: Mapping[str, str],
    ) -> list[SizeRow]:
        """Each bare base, and each variant at its most rows."""
        most: dict[str, list[Measured]] = {}
        for one in measured.all:
            there = most.get(one.name, [])
            if not there or one.rows >= there[0].rows:
                most[one.name] = [*(m for m in there if m.rows == one.rows), one]
        costs = {variant.name: plan.costs[variant.key] for variant in self.variants}
        rows = []
        for name, ones in most.items():
            scores = [score_items(one, half) for one in ones]
            answer = sum(one.value["answer_seconds"] for one in ones) / max(
                1, sum(one.value["answers"] for one in ones)
            )
            tokens = sum(one.value["answer_tokens"] for one in ones)
            seconds = sum(one.value["answer_seconds"] for one in ones)
            trainings = [one.value["training"] for one in ones if "training" in one.value]
            cost = costs.get(name) if trainings else None
            price = self.options.hour_price
            rows.append(
                SizeRow(
                    name=name,
                    rows=ones[0].rows,
                    trainings=len(trainings),
                    score=measure_figure(scores, groups),
                    issues={
                        issue.id: measure_figure([fail_items(issue, m, half) for m in ones], groups)
                        for issue in issues
                    },
                    minutes=_mean([t["seconds"] / 60 for t in trainings]),
                    predicted_minutes=cost.predict_training(ones[0].rows) / 60 if cost else None,
                    memory=max((int(t["memory"]) for t in trainings), default=None),
                    predicted_memory=cost.memory if cost else None,
                    tokens_per_second=tokens / seconds if seconds else 0.0,
                    answer_seconds=answer,
                    cost=1000 * answer / 3600 * price if price else None,
                    by_item=average_items(scores),
                )
            )
        return rows


def _subtract_from_one(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {item: None if value is None else 1.0 - value for item, value in values.items()}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
