"""Every stage that a run shows comes to its end on the screen, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.commands.project import Project
from residency.interfaces import ProgressEvent
from small import save_model, save_project


@pytest.mark.slow
def test_the_last_event_of_each_stage_says_that_all_is_done(tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"))
    summary = Project.open(root, progress=events.append, overrides={"rounds.max": 2}).run()
    last = {event.stage: event for event in events if event.total}
    assert any("targeted rows" in stage for stage in last)
    assert summary.complete
    assert {name: (e.done, e.total) for name, e in last.items() if e.done != e.total} == {}
