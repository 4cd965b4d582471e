"""How far a whole run is: stages in order, time left from what was seen, and a file for others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from residency.commands.project import Project
from residency.interfaces import WHOLE_RUN, ProgressEvent
from residency.loop import run_plan
from residency.loop.run_plan import PlannedStage, RunProgress, describe_left, plan_run
from residency.project.progress_file import PROGRESS_FILE, read_position
from small import save_project

STAGES = [
    PlannedStage("round 0: base, zero-shot", "answers", 10),
    PlannedStage("round 1: train", "steps", 20),
    PlannedStage("round 1: dev", "answers", 10),
    PlannedStage("sealed test: round", "answers", 5),
]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(run_plan, "time", made)
    return made


def test_time_left_is_what_is_planned_at_the_speed_that_was_seen(
    tmp_path: Path, clock: Clock
) -> None:
    events: list[ProgressEvent] = []
    progress = RunProgress(events.append, STAGES, tmp_path)

    def tell(stage: str, done: int, total: int, unit: str, seconds: float) -> str:
        clock.now += seconds
        progress(ProgressEvent(stage, done, total, unit))
        position = read_position(tmp_path)
        assert position is not None
        return position.left

    assert tell("round 0: base, zero-shot", 0, 10, "answers", 0) == ""
    assert tell("round 0: base, zero-shot", 10, 10, "answers", 20) == "at least 30 s"  # 15 answers
    assert tell("round 1: train", 0, 20, "rows", 5) == "at least 30 s"  # rows are prepared
    assert tell("round 1: train", 0, 20, "steps", 5) == "at least 30 s"
    assert tell("round 1: train", 5, 20, "steps", 50) == "up to 3 min"  # 15 steps of 10 s, 30 s
    assert tell("round 1: dev", 2, 10, "answers", 500) == "up to 26 s"  # resumed: 8 + 5 of 2 s
    told = [event for event in events if event.stage == WHOLE_RUN]
    assert [event.done for event in told] == [0, 1, 2]
    assert {event.total for event in told} == {4}
    assert told[-1].detail["now"] == "round 1: dev"
    assert read_position(tmp_path).number == 3  # type: ignore[union-attr]


def test_other_stages_pass_through(tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    progress = RunProgress(events.append, STAGES, tmp_path)
    event = ProgressEvent("fetch", 1, 2, "MB")
    progress(event)
    assert events == [event]
    assert not (tmp_path / PROGRESS_FILE).exists()


def test_a_dead_process_runs_nothing(tmp_path: Path) -> None:
    body = {"stage": "x", "done": 0, "total": 1, "unit": "steps", "number": 1, "of": 2}
    file = tmp_path / PROGRESS_FILE
    file.write_text(json.dumps({**body, "process": os.getpid()}))
    assert read_position(tmp_path) is not None
    file.write_text(json.dumps({**body, "process": 2**22 + 1}))
    assert read_position(tmp_path) is None
    for broken in ("", "[]", "{", json.dumps({"stage": 1})):
        file.write_text(broken)
        assert read_position(tmp_path) is None


def test_the_plan_holds_every_stage_of_the_settings(tmp_path: Path) -> None:
    root = save_project(tmp_path / "project", tmp_path / "model", rounds=2)
    names = [stage.name for stage in plan_run(Project.open(root))]
    assert names == [
        "round 0: base, zero-shot",
        "round 0: base, few-shot",
        "round 1: train",
        "round 1: dev",
        "round 2: train",
        "round 2: dev",
        "round 2: train control",
        "round 2: dev control",
        "sealed test: round",
        "sealed test: base, zero-shot",
        "sealed test: base, few-shot",
        "arms: test targeted 1",
        "arms: test control 1",
    ]


def test_the_plan_holds_further_trainings_of_both_arms(tmp_path: Path) -> None:
    root = save_project(tmp_path / "project", tmp_path / "model", rounds=2)
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace("[rounds]", "[rounds]\ntrainings = 2"))
    names = [stage.name for stage in plan_run(Project.open(root))]
    assert [name for name in names if name.startswith("arms")] == [
        "arms: train control 2",
        "arms: dev control 2",
        "arms: train targeted 2",
        "arms: dev targeted 2",
        "arms: test targeted 1",
        "arms: test targeted 2",
        "arms: test control 1",
        "arms: test control 2",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "up to 5 s"), (89, "up to 89 s"), (600, "up to 10 min"), (9000, "up to 2.5 h")]
)  # fmt: skip
def test_time_in_words(seconds: float, words: str) -> None:
    assert describe_left(seconds, True) == words
    assert describe_left(seconds, False) == words.replace("up to", "at least")
