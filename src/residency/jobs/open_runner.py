"""The runner that the options name: this process, processes of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from residency.interfaces import Progress, no_progress
from residency.jobs.job_store import JobStore
from residency.jobs.run_jobs import Runner, ThisProcess


@contextmanager
def open_runner(
    store: JobStore, *, count: int = 1, cluster: str = "", progress: Progress = no_progress
) -> Iterator[Runner]:
    """Where jobs run.

    Args:
        count: processes on this machine; 1: this process itself. cluster: a Ray cluster's address
            (``auto``, ``host:port``, ``ray://…``, ``local``), which goes before ``count``.

    Raises:
        MissingExtraError: Ray is not installed. ResidencyError: the cluster does not answer.
    """
    if cluster:
        from residency.jobs.ray_cluster import RayJobs

        with RayJobs(store.address, cluster) as runner:
            yield runner
    elif count > 1:
        from residency.jobs.processes import Processes

        with Processes(store.address, count, progress=progress) as processes:
            yield processes
    else:
        yield ThisProcess(store, progress)
