"""Jobs on a Ray cluster (extra ``cluster``). A job whose worker or node dies is done again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from residency.config.secret_url import reveal_url
from residency.data.block_workers import RayCluster
from residency.errors import UserError
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import open_job_store
from residency.jobs.perform_job import perform_job
from residency.jobs.processes import format_memory
from residency.jobs.run_jobs import Outcome
from residency.jobs.worker import pack_error, unpack_error


class RayJobs:
    """Each job is one Ray task with the threads, memory and GPUs that it asks for.

    The package, and the job store's folder or URL, have to be there on every machine.

    Args:
        address: of the job store. cluster: ``auto``, ``host:port`` or ``ray://…``; ``local``:
            workers of this machine.

    Raises:
        MissingExtraError: Ray is not installed. ResidencyError: the cluster does not answer.
    """

    most_losses = 100
    """Nodes come and go: a loss says little about the job."""

    def __init__(self, address: str, cluster: str) -> None:
        self._address = address
        self._cluster = RayCluster("" if cluster == "local" else reveal_url(cluster))
        import ray

        self._ray: Any = ray
        self._task: Any = ray.remote(max_retries=0)(_perform_remotely)
        self._running: dict[Any, Job] = {}

    def __enter__(self) -> RayJobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._cluster.__exit__(kind, error, _)

    def check(self, jobs: Sequence[Job]) -> None:
        """See ``Runner``: no node of the cluster may be too small."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for job in jobs:
            wanted = self._ask(job)
            if not any(_fits(wanted, node) for node in nodes):
                need = job.resources
                raise UserError(
                    f"no node of the cluster has {need.threads} threads, {wanted['GPU']:g} GPUs and "
                    f"{format_memory(need.memory)} together",
                    where=job.title or job.id,
                    next_step="add such a node, or leave this base out",
                )

    def _ask(self, job: Job) -> dict[str, float]:
        """What Ray is to set aside; a task that asks for no GPU sees none."""
        need = job.resources
        some = 1.0 if self._ray.cluster_resources().get("GPU") else 0.0
        gpus = some if need.gpus is None else need.gpus
        return {"CPU": need.threads, "GPU": gpus, "memory": need.memory}

    def has_room(self, job: Job) -> bool:
        """See ``Runner``: Ray keeps the queue."""
        return True

    def start(self, job: Job) -> None:
        """See ``Runner``."""
        wanted = self._ask(job)
        options: dict[str, Any] = {"num_cpus": wanted["CPU"], "num_gpus": wanted["GPU"]}
        if wanted["memory"]:
            options["memory"] = wanted["memory"]
        threads = {"env_vars": {"OMP_NUM_THREADS": str(job.resources.threads)}}
        reference = self._task.options(**options, runtime_env=threads).remote(
            self._address, job.to_dict()
        )
        self._running[reference] = job

    def wait(self) -> Sequence[Outcome]:
        """See ``Runner``."""
        ended, _ = self._ray.wait(list(self._running), num_returns=1)
        return [self._read(reference, self._running.pop(reference)) for reference in ended]

    def _read(self, reference: Any, job: Job) -> Outcome:
        try:
            line = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # worker, node or object lost
            return Outcome(job, "lost", why=type(error).__name__)
        if "error" in line:
            return Outcome(job, "failed", error=unpack_error(line["error"]))
        return Outcome(job, "done", JobResult(**line["result"]))


def _fits(wanted: dict[str, float], node: dict[str, float]) -> bool:
    return all(node.get(name, 0) >= amount for name, amount in wanted.items())


def _perform_remotely(address: str, raw: dict[str, Any]) -> dict[str, Any]:
    """A job on a worker of the cluster: its result or its error as JSON."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return {"result": perform_job(Job.from_dict(raw), open_job_store(address)).to_dict()}
    except Exception as error:
        return {"error": pack_error(error)}
