"""The trainings and answers of a run as jobs: done ahead of the story, and stored where it looks.

A result is stored as soon as its job ends, so nothing hangs on the job store afterwards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from residency.config.secret_url import reveal_url
from residency.data.block_workers import check_reachable
from residency.errors import UserError
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import JobStore, open_job_store
from residency.jobs.job_workspace import read_answers
from residency.jobs.loop_functions import ADAPTER, METRICS
from residency.jobs.open_runner import open_runner
from residency.jobs.order_jobs import OrderJobs
from residency.jobs.run_jobs import Runner, run_jobs
from residency.jobs.shared_trunk import SharedTrunk
from residency.loop.work_ahead import (
    AnswerOrder,
    TrainingOrder,
    carry_out_training,
    find_training,
    keep_training_result,
)
from residency.nouns.model import Model
from residency.project.workspace import Workspace
from residency.store.remote_folders import check_shared


class NeedsMemory(Protocol):
    """What an estimate must offer."""

    memory: int


@dataclass(frozen=True)
class JobOptions:
    """Where the jobs of a run are done.

    Attributes:
        jobs: processes on this machine. cluster: a Ray cluster's address, instead.
        artifacts: folder or fsspec URL for the jobs' files; empty: in ``.residency``.
    """

    jobs: int = 1
    cluster: str = ""
    artifacts: str = ""

    def __post_init__(self) -> None:
        """Raises ``UserError`` for what cannot be meant."""
        if self.jobs < 1:
            raise UserError("jobs count from 1", where="--jobs")
        check_reachable(reveal_url(self.cluster))
        check_shared(self.artifacts, "--artifacts")
        if self.artifacts and not self.ahead:
            raise UserError(
                "artifacts are of jobs in other processes, and there are none",
                where="--artifacts",
                next_step="add --jobs 2 or --cluster, or leave it out",
            )
        if self.ahead and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UserError(
                "torchrun already shares each training out",
                where="--jobs",
                next_step="leave --jobs and --cluster out under torchrun",
            )

    @property
    def ahead(self) -> bool:
        """Whether anything is done ahead of the story at all."""
        return self.jobs > 1 or bool(self.cluster)


@dataclass
class _Graph:
    """Jobs in order, and the orders of those that train."""

    jobs: list[Job] = field(default_factory=list)
    orders: dict[str, TrainingOrder] = field(default_factory=dict)


class LoopJobs:
    """A ``WorkAhead``: jobs in several processes, or on a cluster. Use as a context manager.

    A training with ``train.metric`` is left to the story: it needs suite and plugins of the project.

    Args:
        ws: the project, whose writer lock the caller holds. estimate: memory of a training.
    """

    def __init__(
        self, ws: Workspace, options: JobOptions, estimate: Callable[[Workspace], NeedsMemory]
    ) -> None:
        self._ws, self._options, self._estimate = ws, options, estimate
        self._store: JobStore = open_job_store(options.artifacts or str(ws.store.folder / "jobs"))
        self._seconds: dict[str, float] = {}
        self._stack = ExitStack()
        self._runner: Runner | None = None
        self._jobs: OrderJobs | None = None

    def __enter__(self) -> LoopJobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def threads(self) -> int:
        """Of each job: the project's, or its share of the machine; 0 where torch decides."""
        threads = self._ws.config.model.threads
        if threads or self._options.cluster:
            return threads
        return max(1, (os.cpu_count() or 1) // self._options.jobs)

    # --- WorkAhead ---------------------------------------------------------------------------

    def do_trainings(self, orders: Sequence[TrainingOrder]) -> None:
        """See ``WorkAhead``."""
        if self._ws.config.train.metric:
            return
        graph, parts = _Graph(), self._count_parts(len(orders))
        missing = [order for order in orders if find_training(self._ws, order) is None]
        trunk = {}
        if missing:
            store = SharedTrunk(
                self._ws, self._store, self.threads, travels=bool(self._options.cluster)
            )
            trunk = store.fill([order.rows for order in missing])
        for order in orders:
            training = model = None
            if order in missing:
                training = self._open_jobs().make_training(order, trunk)
                graph.orders[training.id] = order
                graph.jobs.append(training)
            else:
                model = carry_out_training(self._ws, order)
            self._add_answers(graph, order.answers, model, training, parts)
        self._run(graph)

    def do_answers(self, orders: Sequence[AnswerOrder]) -> None:
        """See ``WorkAhead``."""
        graph, parts = _Graph(), self._count_parts(len(orders))
        for order in orders:
            self._add_answers(graph, order, order.model, None, parts)
        self._run(graph)

    def count_seconds(self, model: Model) -> float:
        """See ``WorkAhead``: in this call of the command."""
        return self._seconds.get(model.id, 0.0)

    # --- the graph ---------------------------------------------------------------------------

    def _count_parts(self, orders: int) -> int:
        """Into how many jobs a model's answers are cut, so that every worker has some."""
        return 1 if self._options.cluster else -(-self._options.jobs // max(1, orders))

    def _add_answers(
        self,
        graph: _Graph,
        order: AnswerOrder,
        model: Model | None,
        training: Job | None,
        parts: int,
    ) -> None:
        graph.jobs += self._open_jobs().make_answers(order, model, training, parts=parts)

    def _open_jobs(self) -> OrderJobs:
        if self._jobs is None:
            memory = self._estimate(self._ws).memory
            self._jobs = OrderJobs(self._ws, self._store, threads=self.threads, memory=memory)
        return self._jobs

    def _run(self, graph: _Graph) -> None:
        if not graph.jobs:
            return
        if self._runner is None:  # stays open: its workers have everything loaded
            self._runner = self._stack.enter_context(
                open_runner(
                    self._store,
                    count=self._options.jobs,
                    cluster=self._options.cluster,
                    progress=self._ws.progress,
                )
            )
        run_jobs(
            graph.jobs,
            self._store,
            self._runner,
            on_done=lambda job, result: self._keep(graph, job, result),
            progress=self._ws.progress,
        )

    # --- what comes back ---------------------------------------------------------------------

    def _keep(self, graph: _Graph, job: Job, result: JobResult) -> None:
        """Put a result into the project's store."""
        files = self._store.open_folder(result.artifact)
        if job.id in graph.orders:
            # Memory and time are those of a shared machine: no estimate is held against them.
            training_result = {**result.value["made"], "estimate": {}}
            metrics = json.loads((files / METRICS).read_text(encoding="utf-8"))
            order = graph.orders[job.id]
            name = keep_training_result(
                self._ws, order, training_result, files / ADAPTER, metrics
            ).id
        else:
            self._ws.store.add_responses(read_answers(files))
            name = str(result.value["model"])
        self._seconds[name] = self._seconds.get(name, 0.0) + result.seconds
