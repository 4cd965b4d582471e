"""How far a whole run is: its stages are known beforehand, their speed as soon as one was seen."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from residency.interfaces import WHOLE_RUN, Progress, ProgressEvent
from residency.loop.replay_effect import STAGE as REPLAY
from residency.loop.replay_effect import plans_replay_control
from residency.loop.replay_rows import count_replay
from residency.nouns.example import Split
from residency.project.progress_file import (
    PlanLine,
    RunPosition,
    forget_position,
    write_plan,
    write_position,
)
from residency.project.step_needs import HasRows

WRITE_EVERY = 2.0
"""Seconds between two writings of that file."""


BEST_ROUND = "sealed test: round"
"""How the events of the best round on the sealed test begin; its number follows."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage: how its events begin, and its work in answers or in training steps."""

    name: str
    kind: Literal["answers", "steps"]
    work: int

    @property
    def title(self) -> str:
        """What people read: which round is the best one is known when the test is opened."""
        if self.name == BEST_ROUND:
            return "sealed test: the best round"
        arms_test = "arms: test "
        if self.name.startswith(arms_test):
            arm, _, number = self.name.removeprefix(arms_test).partition(" ")
            return f"sealed test: {arm} arm, training {number}"
        return self.name


def plan_run(ws: HasRows) -> list[PlannedStage]:
    """Every stage that a run can have, in order; it may end before the last round."""
    samples = ws.config.generate.samples
    measured: tuple[Split, Split] = ("dev", "test")
    dev, test = (len(ws.split(split)) * samples for split in measured)
    prompted = ["base, zero-shot"] + (["base, few-shot"] if ws.config.evaluate.few_shot else [])
    stages = [PlannedStage(f"round 0: {name}", "answers", dev) for name in prompted]
    rows = len(ws.split("train"))
    for number in range(1, ws.config.rounds.max + 1):
        arms = [""] if number == 1 or not ws.config.target.control else ["", " control"]
        for arm in arms:
            steps = count_steps(ws, rows)
            stages.append(PlannedStage(f"round {number}: train{arm}", "steps", steps))
            stages.append(PlannedStage(f"round {number}: dev{arm}", "answers", dev))
        rows += min(ws.config.target.max_rows, len(ws.split("pool")))
    further = plan_arms(ws, rows, dev, test)
    trained = [stage for stage in further if not stage.name.startswith("arms: test")]
    stages += trained
    stages += [
        PlannedStage(name, "answers", test)
        for name in (BEST_ROUND, *(f"sealed test: {prompt}" for prompt in prompted))
    ]
    stages += further[len(trained) :]
    if plans_replay_control(ws):
        stages.append(PlannedStage(f"{REPLAY}: train", "steps", count_steps(ws, rows, mixed=False)))
        stages.append(PlannedStage(f"{REPLAY}: dev", "answers", dev))
    return stages


def count_steps(ws: HasRows, rows: int, *, mixed: bool = True) -> int:
    """Optimizer steps of a training on so many rows of the task, with general ones if ``mixed``."""
    settings = ws.config.train
    every = rows + (count_replay(ws, rows) if mixed else 0)
    return max(1, round(every * settings.epochs / settings.batch_size))


def plan_arms(ws: HasRows, rows: int, dev: int, test: int) -> list[PlannedStage]:
    """Further trainings of both arms, and every training on the sealed test (of ``test`` answers).

    Where minutes decide how many there are, none are planned beside that of the round.
    """
    if ws.config.rounds.max < 2 or not ws.config.target.control:
        return []
    count = 1 if ws.config.rounds.minutes else ws.config.rounds.trainings
    steps = count_steps(ws, rows)
    stages = []
    for number in range(2, count + 1):
        for arm in ("control", "targeted"):
            stages.append(PlannedStage(f"arms: train {arm} {number}", "steps", steps))
            stages.append(PlannedStage(f"arms: dev {arm} {number}", "answers", dev))
    for arm in ("targeted", "control"):
        for number in range(1, count + 1):
            stages.append(PlannedStage(f"arms: test {arm} {number}", "answers", test))
    return stages


@dataclass
class RunProgress:
    """Passes events on, and tells after each how far the whole run is.

    Args:
        progress: who is told. stages: the plan. folder: ``.residency``, where
            ``residency status`` looks.
    """

    progress: Progress
    stages: Sequence[PlannedStage]
    folder: Path
    _number: int = -1
    _began: float = 0.0
    _first: int = 0
    _seconds_each: dict[str, float] = field(default_factory=dict)
    _written: float = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        self._tell_position(event)
        self.progress(event)

    def _tell_position(self, event: ProgressEvent) -> None:
        number = self._find_stage(event.stage)
        if number is None or number < self._number:  # beside a later one, by another process
            return
        now = time.monotonic()
        is_new = number != self._number
        counts = event.unit == self.stages[number].kind  # not the rows that a training prepares
        if is_new or not counts:
            self._number, self._began, self._first = number, now, event.done if counts else 0
        done = event.done - self._first
        if counts and done > 0 and now > self._began:
            self._seconds_each[self.stages[number].kind] = (now - self._began) / done
        seconds_left, is_whole = self._estimate_left(event)
        if is_new:
            detail: dict[str, float | str] = {"now": event.stage}
            if seconds_left:
                detail["left"] = describe_left(seconds_left, is_whole)
            self.progress(ProgressEvent(WHOLE_RUN, number, len(self.stages), "stages", detail))
        if is_new or now - self._written >= WRITE_EVERY:
            self._written = now
            self._write(event, seconds_left, is_whole)

    def _find_stage(self, name: str) -> int | None:
        """The planned stage that an event belongs to: the longest name that it begins with."""
        fitting = [
            (len(stage.name), number)
            for number, stage in enumerate(self.stages)
            if name.startswith(stage.name)
        ]
        return max(fitting)[1] if fitting else None

    def _estimate_left(self, event: ProgressEvent) -> tuple[float, bool]:
        """Seconds until the end of what is planned, and whether all of it is in them."""
        current = self.stages[self._number]
        work_left = event.total - event.done if event.unit == current.kind else current.work
        works = [(current.kind, max(0, work_left))]
        works += [(stage.kind, stage.work) for stage in self.stages[self._number + 1 :]]
        known = [
            self._seconds_each[kind] * work for kind, work in works if kind in self._seconds_each
        ]
        return sum(known), len(known) == len(works)

    def _write(self, event: ProgressEvent, seconds_left: float, is_whole: bool) -> None:
        position = RunPosition(
            stage=event.stage,
            done=event.done,
            total=event.total,
            unit=event.unit,
            number=self._number + 1,
            of=len(self.stages),
            left=describe_left(seconds_left, is_whole) if seconds_left else "",
        )
        write_position(self.folder, position)


def describe_left(seconds: float, is_whole: bool) -> str:
    """``up to 12 min`` (a run may end earlier), or ``at least`` where not every speed is known."""
    amount = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    if seconds >= 2 * 3600:
        amount = f"{seconds / 3600:.1f} h"
    return f"{'up to' if is_whole else 'at least'} {amount}"


@contextlib.contextmanager
def tell_whole_run(ws: HasRows) -> Iterator[None]:
    """While inside, the workspace's progress also tells how far the whole run is."""
    before = ws.progress
    stages = plan_run(ws)
    write_plan(ws.store.folder, [PlanLine(s.title, s.kind, s.work) for s in stages])
    ws.progress = RunProgress(before, stages, ws.store.folder)
    try:
        yield
        before(ProgressEvent(WHOLE_RUN, len(stages), len(stages), "stages", {"now": "done"}))
    finally:
        ws.progress = before
        forget_position(ws.store.folder)
