"""A sweep that tells other processes what it plans and where it is, by two small files of its folder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from residency.files.atomic_write import write_bytes
from residency.interfaces import Progress, ProgressEvent
from residency.jobs.run_jobs import STAGE
from residency.sweep.plan import SweepPlan
from residency.sweep.run_sweep import Sweep
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.sweep_result import SweepResult

FOLDER_NAME = "sweep"
"""In a project's ``.residency``; what the jobs wrote lies there too."""
PLAN_FILE, POSITION_FILE = "plan.json", "position.json"
WRITE_EVERY = 0.5
"""Seconds between two notes within a job."""
_AT_ONCE = 1.0
"""Jobs that are done within these seconds of the beginning were done before."""


@dataclass(frozen=True)
class SweepPosition:
    """Where a sweep is, or where it ended.

    Attributes:
        process: its id; 0 once it has ended. finished: titles of the jobs that are done.
        done, total: jobs; both 0 while the plan is made. stage: what goes on within a job, with
            ``stage_done`` of ``stage_total`` units. seconds_left: by the pace until now.
    """

    process: int = 0
    finished: tuple[str, ...] = ()
    done: int = 0
    total: int = 0
    stage: str = ""
    stage_done: int = 0
    stage_total: int = 0
    unit: str = ""
    seconds_left: float | None = None
    at: str = ""


@dataclass
class SweepWatch:
    """Passes events on and keeps the position.

    Args:
        progress: who is told. folder: of the position. plan: None while it is being made.
    """

    progress: Progress
    folder: Path
    plan: SweepPlan | None = None
    position: SweepPosition = field(default_factory=SweepPosition)
    _began: float = field(default_factory=time.monotonic)
    _counted: set[str] = field(default_factory=set)
    _written: float = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        is_job = event.stage == STAGE
        if is_job:
            self._note_job(event, now)
        else:
            self._change(
                stage=event.stage, stage_done=event.done, stage_total=event.total, unit=event.unit
            )
        if is_job or now - self._written >= WRITE_EVERY:
            self._written = now
            self.write(os.getpid())
        self.progress(event)

    def write(self, process: int) -> None:
        """Keep the position; it is a courtesy, and no sweep ends for want of it."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._change(process=process, at=at)
        with contextlib.suppress(OSError):
            write_bytes(self.folder / POSITION_FILE, json.dumps(asdict(self.position)).encode())

    def _note_job(self, event: ProgressEvent, now: float) -> None:
        title = str(event.detail.get("now", ""))
        finished = self.position.finished
        if title and title not in finished:
            finished = (*finished, title)
            if now - self._began > _AT_ONCE:
                self._counted.add(title)
        self._change(finished=finished, done=event.done, total=event.total, stage="", stage_total=0)
        self._change(seconds_left=self._predict_left(now - self._began))

    def _predict_left(self, elapsed: float) -> float | None:
        """Seconds that the trainings left take, by the plan and by how well it has foretold until now."""
        if self.plan is None:
            return None
        planned = {cell.cell.title: cell.seconds for cell in self.plan.cells}
        left = sum(s for title, s in planned.items() if title not in self.position.finished)
        foretold = sum(planned.get(title, 0.0) for title in self._counted) / self.plan.workers
        # the plan counts as one more training that took as long as foretold: one surprise at the
        # beginning does not throw the figure about
        usual = sum(planned.values()) / max(1, len(planned))
        paced = elapsed if self._counted else 0.0
        pace = min(10.0, max(0.1, (paced + usual) / (foretold + usual))) if usual else 1.0
        return left / self.plan.workers * pace

    def _change(self, **values: Any) -> None:
        self.position = SweepPosition(**{**vars(self.position), **values})


@dataclass
class WatchedSweep(Sweep):
    """A ``Sweep`` whose plan and position other processes read (``read_sweep_plan``, ``_position``)."""

    def plan(self) -> SweepPlan:
        """See ``Sweep.plan``; the plan is stored, with the options that it is for."""
        with self._watch(None):
            plan = super().plan()
        options = {k: v for k, v in vars(self.options).items() if k != "endpoint"}
        body = {"options": options, "own": self.ws.config.model.base, "plan": plan.to_dict()}
        with contextlib.suppress(OSError):
            write_bytes(self._folder / PLAN_FILE, json.dumps(body).encode())
        return plan

    def run(self, plan: SweepPlan) -> SweepResult:
        """See ``Sweep.run``."""
        with self._watch(plan):
            return super().run(plan)

    @property
    def _folder(self) -> Path:
        return self.ws.store.folder / FOLDER_NAME

    @contextlib.contextmanager
    def _watch(self, plan: SweepPlan | None) -> Iterator[None]:
        before = self.ws.progress
        watch = SweepWatch(before, self._folder, plan)
        watch.write(os.getpid())
        self.ws.progress = watch
        try:
            yield
        finally:
            self.ws.progress = before
            watch.write(0)


@dataclass(frozen=True)
class StoredPlan:
    """The plan that a sweep made last, its ``options``, and the ``project_base`` of that day."""

    options: SweepOptions
    project_base: str
    plan: Mapping[str, Any]


def read_sweep_plan(folder: Path) -> StoredPlan | None:
    """The last plan of a project; ``folder`` is its ``.residency``. None where there is none."""
    try:
        body = json.loads((folder / FOLDER_NAME / PLAN_FILE).read_bytes())
        options: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in body["options"].items()
        }
        return StoredPlan(SweepOptions(**options), str(body["own"]), dict(body["plan"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_sweep_position(folder: Path) -> SweepPosition | None:
    """Where the last sweep of a project is, or ended; ``folder`` is its ``.residency``."""
    try:
        body = json.loads((folder / FOLDER_NAME / POSITION_FILE).read_bytes())
        return SweepPosition(**{**body, "finished": tuple(body["finished"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
