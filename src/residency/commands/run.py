"""``residency run``: the main job, in one process or shared out."""

from __future__ import annotations

import shutil

from residency.commands.sweep import estimate_once
from residency.loop.run_loop import run_loop
from residency.project.workspace import Workspace
from residency.results.run_summary import RunSummary


def run(ws: Workspace, *, jobs: int = 1, cluster: str = "", artifacts: str = "") -> RunSummary:
    """Take the project through its rounds, from wherever it is.

    Args:
        jobs: processes of this machine for trainings and answers that do not wait for each other.
        cluster: a Ray cluster's address, in their place. artifacts: folder or fsspec URL for the
            jobs' files; empty: in ``.residency``.

    Raises:
        StoreLockedError: another process is at it. UserError: data, settings, model or options are
            wrong. ResidencyError: a job failed; what is done is kept.
    """
    from residency.jobs.loop_jobs import JobOptions, LoopJobs

    options = JobOptions(jobs, cluster, artifacts)
    if not options.ahead:
        return run_loop(ws)
    jobs_ahead = LoopJobs(ws, options, estimate_once)  # a place that cannot be used opens no run
    summary = run_loop(ws, lambda: jobs_ahead)
    shutil.rmtree(ws.store.folder / "jobs", ignore_errors=True)  # all of it is in the store
    return summary
