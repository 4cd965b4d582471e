"""The cells of a sweep as jobs: what each is made of, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from residency.errors import ResidencyError
from residency.interfaces import ProgressEvent
from residency.jobs.job import Job, Resources
from residency.jobs.job_store import JobStore
from residency.jobs.job_workspace import (
    choose_job_settings,
    locate_base,
    put_rows,
    read_template,
)
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import run_jobs
from residency.project.dev_split import split_dev
from residency.project.workspace import Workspace
from residency.sweep.cell import Cell, Variant
from residency.sweep.changed_settings import change_settings
from residency.sweep.plan import VariantCost

FROZEN = "residency.sweep.cell_functions:compute_frozen"
CELL = "residency.sweep.cell_functions:run_cell"
BASE = "residency.sweep.cell_functions:answer_base"
PROBE = "residency.sweep.cell_functions:time_answers"


class TrainingEstimate(Protocol):
    """What a sweep needs of an estimate."""

    memory: int
    step_seconds: float
    frozen_seconds: float


EstimateTraining = Callable[[Workspace], TrainingEstimate]


@dataclass
class SweepJobs:
    """Makes jobs on one project's rows.

    Args:
        ws: the project. store: where the rows are put. threads: of each job.
    """

    ws: Workspace
    store: JobStore
    threads: int
    _rows: str = ""
    _opened: dict[str, Workspace] = field(default_factory=dict)

    def put_rows(self) -> str:
        """Train and dev as an artifact that every job reads; its content hash."""
        if not self._rows:
            ws = self.ws
            finding, _ = split_dev(ws)
            rows = [*ws.split("train"), *ws.split("dev"), *ws.general_rows.rows]
            template = read_template(ws)
            self._rows = put_rows(self.store, rows, finding=finding, template=template)
        return self._rows

    def open_variant(self, variant: Variant) -> Workspace:
        """The project under a variant's base and settings, with the project's store and rows."""
        if variant.key not in self._opened:
            config = self.ws.config
            train = change_settings(config.train, variant.settings, variant.name)
            model = config.model.model_copy(update={"base": variant.base, "threads": self.threads})
            changed = config.model_copy(update={"train": train, "model": model})
            opened = Workspace(self.ws.root, changed, full=self.ws.full, progress=self.ws.progress)
            opened.store, opened.corpus = self.ws.store, self.ws.corpus
            self._opened[variant.key] = opened
        return self._opened[variant.key]

    def make_frozen(self, variant: Variant, memory: int = 0) -> Job | None:
        """The frozen layers of all train rows, shared by every cell; None where none are frozen."""
        settings = self.open_variant(variant).config.train
        if settings.method != "lora" or settings.layers == "all":
            return None
        job = self._make(FROZEN, variant, {}, memory, f"{variant.base}: frozen layers")
        method_settings = {
            "method": "lora",
            "layers": str(settings.layers),
            "precision": settings.precision,
        }
        config = {
            **job.arguments["config"],
            "train": {**method_settings, "quantize": settings.quantize},
        }
        return replace(job, arguments={**job.arguments, "config": config})

    def make_cell(self, cell: Cell, memory: int = 0) -> tuple[Job, ...]:
        """A training with its answers, after the shared work that it needs."""
        frozen = self.make_frozen(cell.variant, memory)
        seed = self.ws.config.project.seed + cell.repeat
        needs = {"frozen": frozen.id} if frozen else {}
        cell_arguments = {"rows": cell.rows, "seed": seed}
        job = self._make(CELL, cell.variant, cell_arguments, memory, cell.title, needs)
        return (frozen, job) if frozen else (job,)

    def make_base(self, variant: Variant, memory: int = 0) -> list[Job]:
        """The bare base's answers, zero-shot and (if the project does) few-shot."""
        ways = [False, True] if self.ws.config.evaluate.few_shot else [False]
        titles = {False: "zero-shot", True: "few-shot"}
        bare = Variant(variant.base)
        return [
            self._make(BASE, bare, {"few_shot": way}, memory, f"{variant.base}: {titles[way]}")
            for way in ways
        ]

    def make_probe(self, variant: Variant) -> Job:
        """A few answers of the bare base, for their time."""
        title = f"{variant.base}: time of an answer"
        return self._make(PROBE, Variant(variant.base), {}, 0, title)

    def _make(
        self,
        function: str,
        variant: Variant,
        arguments: dict[str, Any],
        memory: int,
        title: str,
        needs: dict[str, str] | None = None,
    ) -> Job:
        ws = self.open_variant(variant)
        return Job(
            function,
            {**arguments, "base": ws.base.identity, "config": choose_job_settings(ws)},
            inputs={"rows": self.put_rows()},
            needs=needs or {},
            place={"base": locate_base(ws), "threads": self.threads},
            resources=Resources(memory=memory, threads=max(1, self.threads)),
            title=title,
        )


def list_jobs(groups: Sequence[Sequence[Job]]) -> list[Job]:
    """Jobs of several cells, each once, in order."""
    return list({job.id: job for group in groups for job in group}.values())


def measure_cost(jobs: SweepJobs, variant: Variant, estimate: EstimateTraining) -> VariantCost:
    """What a variant takes: by the estimate, and by a few answers of its bare base.

    Raises:
        ResidencyError: the probe failed; the error is of its kind, and names the variant.
    """
    ws = jobs.open_variant(variant)
    ws.progress(ProgressEvent("estimate", 0, 0, "", {"doing": variant.name}))
    try:
        estimated = estimate(ws)
    except ResidencyError as error:
        where = ", ".join(filter(None, (variant.name, error.where)))
        step = "; or ".join(filter(None, (error.next_step, "leave it out")))
        raise type(error)(error.what, where=where, next_step=step) from None
    probe = jobs.make_probe(variant)
    with open_runner(jobs.store) as runner:
        answered = run_jobs([probe], jobs.store, runner)[probe.id].value
    frozen = jobs.make_frozen(variant)
    done = frozen is None or jobs.store.find_result(frozen.id) is not None
    return VariantCost(
        step_seconds=estimated.step_seconds,
        batch_size=ws.config.train.batch_size,
        epochs=ws.config.train.epochs,
        memory=estimated.memory,
        frozen_seconds=0.0 if done else estimated.frozen_seconds,
        answer_seconds=answered["seconds_each"],
        layer_key=frozen.id if frozen else variant.key,
    )
