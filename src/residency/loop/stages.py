"""A step of the loop keeps its result and is never done twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from residency.interfaces import Progress, ProgressEvent
from residency.project.step_needs import HasRun
from residency.store.stage_key import StageKey

T = TypeVar("T")


def run_stage_once(ws: HasRun, key: StageKey, make: Callable[[], T]) -> T:
    """Do a step whose result is JSON once; afterwards give the stored result."""
    stored = ws.store.stage(ws.run_id, key)
    if stored is not None:
        result_there: T = stored["result"]
        return result_there
    start = time.monotonic()
    with ws.store.writer("run"):
        result = make()
        seconds = time.monotonic() - start
        ws.store.finish_stage(ws.record_run(), key, seconds, {"result": result})
    return result


def rename_stage(progress: Progress, stage: str) -> Progress:
    """The same callback under another stage name."""

    def call(event: ProgressEvent) -> None:
        progress(ProgressEvent(stage, event.done, event.total, event.unit, event.detail))

    return call
