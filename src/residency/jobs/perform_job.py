"""A job is done where it stands: its function is called, its files stored, its result written last."""

from __future__ import annotations

import importlib
import shutil
import time
from typing import Any

from residency.errors import StoreError
from residency.interfaces import Progress, no_progress
from residency.jobs.job import Job, JobContext, JobResult
from residency.jobs.job_store import JobStore


def perform_job(job: Job, store: JobStore, progress: Progress = no_progress) -> JobResult:
    """The result of a job, made unless it is there; a second worker waits and finds it.

    Raises:
        StoreError: a job that it needs is not done. Whatever the function raises.
    """
    if (there := store.find_result(job.id)) is not None:
        return there
    with store.claim(job.id) as work:
        if (there := store.find_result(job.id)) is not None:
            return there
        began = time.monotonic()
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)  # of an attempt that was killed
        out.mkdir()
        needs = {name: _need(store, key) for name, key in job.needs.items()}
        context = JobContext(
            out=out,
            work=work,
            inputs={name: store.open_folder(digest) for name, digest in job.inputs.items()},
            needs=needs,
            needed_files={n: store.open_folder(r.artifact) for n, r in needs.items() if r.artifact},
            place=job.place,
            progress=progress,
        )
        value = find_function(job.function)(dict(job.arguments), context)
        artifact = store.put_folder(out) if any(out.iterdir()) else ""
        result = JobResult(job.id, value, artifact, time.monotonic() - began)
        store.add_result(result)
        return result


def find_function(name: str) -> Any:
    """The function that ``package.module:name`` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _need(store: JobStore, job: str) -> JobResult:
    result = store.find_result(job)
    if result is None:
        raise StoreError(f"job {job} is needed first, and is not done")
    return result
