"""A graph of jobs, done: each once, each after what it needs, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from residency.errors import ResidencyError
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import JobStore
from residency.jobs.perform_job import perform_job

STAGE = "jobs"


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: done with a result, failed with an error, or lost with its worker."""

    job: Job
    state: Literal["done", "failed", "lost"]
    result: JobResult | None = None
    error: Exception | None = None
    why: str = ""


class Runner(Protocol):
    """Runs jobs: here, in processes, or on a cluster."""

    most_losses: int
    """How often one job may lose its worker before that is an error."""

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse what cannot run here.

        Raises:
            UserError: a job needs more than there is.
        """
        ...

    def has_room(self, job: Job) -> bool:
        """Whether a job can start now."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job."""
        ...

    def wait(self) -> Sequence[Outcome]:
        """Block until an attempt ends."""
        ...


class ThisProcess:
    """Jobs one after the other, here."""

    most_losses = 1

    def __init__(self, store: JobStore, progress: Progress = no_progress) -> None:
        self._store, self._progress = store, progress
        self._started: list[Job] = []

    def check(self, jobs: Sequence[Job]) -> None:
        """See ``Runner``: what runs alone is not refused."""

    def has_room(self, job: Job) -> bool:
        """See ``Runner``."""
        return not self._started

    def start(self, job: Job) -> None:
        """See ``Runner``."""
        self._started.append(job)

    def wait(self) -> Sequence[Outcome]:
        """See ``Runner``. Ctrl-C is not a failure of the job and passes through."""
        job = self._started.pop()
        try:
            return [Outcome(job, "done", perform_job(job, self._store, self._progress))]
        except Exception as error:
            return [Outcome(job, "failed", error=error)]


def run_jobs(
    jobs: Sequence[Job],
    store: JobStore,
    runner: Runner,
    *,
    on_done: Callable[[Job, JobResult], None] | None = None,
    on_failed: Callable[[Job, ResidencyError], None] | None = None,
    progress: Progress = no_progress,
) -> dict[str, JobResult]:
    """Do what is not done; results by job id.

    Jobs start in the order given, as far as what they need is done and there is room. Where one
    fails, the others that do not need it are still done, and the first error is raised at the end.

    Args:
        on_done: called in this process for every job, those included that were done before, each
            after the jobs that it needs.
        on_failed: called for a job that failed by one of our errors, which is then not raised.

    Raises:
        ResidencyError: jobs need one another in a circle, or a job lost its worker too often.
        Exception: what the first failing job raised.
    """
    state = _Graph(jobs, store, on_done, on_failed, progress)
    runner.check(state.waiting)
    while state.waiting or state.running:
        for job in state.list_ready():
            if runner.has_room(job):
                state.begin(job)
                runner.start(job)
        if not state.running:
            state.give_up()
            break
        for outcome in runner.wait():
            state.end(outcome, runner.most_losses)
    if state.errors:
        raise state.errors[0]
    return state.results


class _Graph:
    """What is done, running and waiting."""

    def __init__(
        self,
        jobs: Sequence[Job],
        store: JobStore,
        on_done: Callable[[Job, JobResult], None] | None,
        on_failed: Callable[[Job, ResidencyError], None] | None,
        progress: Progress,
    ) -> None:
        self.results: dict[str, JobResult] = {}
        self.running: dict[str, Job] = {}
        self.errors: list[Exception] = []
        self._losses: dict[str, int] = {}
        self._failed: set[str] = set()
        self._on_done, self._on_failed, self._progress = on_done, on_failed, progress
        unique = {job.id: job for job in jobs}
        self.total = len(unique)
        self.waiting: list[Job] = []
        for job in unique.values():
            there = store.find_result(job.id)
            if there is None:
                self.waiting.append(job)
            else:
                self._finish(job, there)

    def list_ready(self) -> list[Job]:
        """Jobs that wait for nothing but room; those behind a failed one are dropped."""
        dropped = [job for job in self.waiting if self._failed & set(job.needs.values())]
        for job in dropped:
            self._failed.add(job.id)
            self.waiting.remove(job)
        return [job for job in self.waiting if set(job.needs.values()) <= set(self.results)]

    def begin(self, job: Job) -> None:
        """A job is about to start."""
        self.waiting.remove(job)
        self.running[job.id] = job

    def end(self, outcome: Outcome, most_losses: int) -> None:
        """An attempt ended: keep its result, its error, or try again."""
        job = outcome.job
        del self.running[job.id]
        if outcome.state == "done" and outcome.result is not None:
            self._finish(job, outcome.result)
            return
        error = outcome.error
        if outcome.state == "lost":
            count = self._losses[job.id] = self._losses.get(job.id, 0) + 1
            what = f"{job.title or job.id}: its worker died ({outcome.why})"
            if count < most_losses:
                self._tell({"trouble": f"{what}; done again"})
                self.waiting.insert(0, job)
                return
            error = ResidencyError(
                f"{what}, {count} times",
                next_step="give each job more memory: fewer --jobs, or a smaller train.micro_tokens",
            )
        error = error or ResidencyError(f"{job.title or job.id} failed")
        self._failed.add(job.id)
        if self._on_failed is not None and isinstance(error, ResidencyError):
            self._on_failed(job, error)
        else:
            self.errors.append(error)

    def give_up(self) -> None:
        """Nothing runs and nothing can start."""
        if self.waiting and not self._failed:
            names = ", ".join(job.title or job.id for job in self.waiting[:3])
            self.errors.append(ResidencyError(f"jobs that can never start: {names}"))

    def _finish(self, job: Job, result: JobResult) -> None:
        self.results[job.id] = result
        if self._on_done is not None:
            self._on_done(job, result)
        self._tell({"now": job.title})

    def _tell(self, detail: dict[str, float | str]) -> None:
        self._progress(ProgressEvent(STAGE, len(self.results), self.total, "jobs", detail))
