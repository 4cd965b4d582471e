"""A worker process: reads jobs from its standard input, a JSON line each, and answers likewise.

It ends when its input ends, in the middle of a job too: a parent that is killed leaves no orphan.
Whatever else is printed goes to the error stream.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

import residency.errors
from residency.errors import ResidencyError
from residency.interfaces import ProgressEvent
from residency.jobs.job import Job
from residency.jobs.job_store import open_job_store
from residency.jobs.perform_job import perform_job


def serve_jobs(address: str) -> None:
    """Do jobs of a store until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_watch_parent, args=(lines,), daemon=True).start()
    store = open_job_store(address)
    while True:
        job = Job.from_dict(json.loads(lines.get()))

        def tell(event: ProgressEvent) -> None:
            _answer(answers, {"progress": [event.stage, event.done, event.total, event.unit]})

        try:
            result = perform_job(job, store, tell)
        except Exception as error:
            _answer(answers, {"error": pack_error(error)})
        else:
            _answer(answers, {"result": result.to_dict()})
        gc.collect()  # models that the job held, before the next one loads another


def _answer(answers: TextIO, line: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent died; the watching thread ends this
        answers.write(json.dumps(line) + "\n")


def _watch_parent(lines: queue.Queue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def pack_error(error: Exception) -> dict[str, str]:
    """An error as JSON; one of our kinds stays that kind."""
    if isinstance(error, ResidencyError):
        kind = type(error).__name__
        return {
            "kind": kind,
            "what": error.what,
            "where": error.where,
            "next_step": error.next_step,
        }
    return {"kind": "", "what": f"{type(error).__name__}: {error}"}


def unpack_error(raw: Mapping[str, str]) -> Exception:
    """The inverse of ``pack_error``; any other kind becomes a ``ResidencyError``."""
    kind = getattr(residency.errors, raw["kind"], None) if raw["kind"] else None
    if isinstance(kind, type) and issubclass(kind, ResidencyError):
        return kind(raw["what"], where=raw["where"], next_step=raw["next_step"])
    return ResidencyError(raw["what"])


if __name__ == "__main__":
    serve_jobs(sys.argv[1])
