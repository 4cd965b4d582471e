"""Bars of jobs that go on are seen, however many were there before."""

from __future__ import annotations

import pytest
from rich.console import Console

from residency.cli import progress
from residency.interfaces import ProgressEvent


def test_finished_bars_make_room_for_those_that_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=100, height=12, stderr=True)
    monkeypatch.setattr(progress, "errors", console)
    display = progress.ProgressDisplay()
    display(ProgressEvent("jobs", 0, 60, "jobs"))
    for number in range(60):
        display(ProgressEvent(f"training {number}", 0, 3, "steps"))
        display(ProgressEvent(f"training {number}", 3, 3, "steps"))
        display(ProgressEvent("jobs", number + 1, 61, "jobs"))
    display(ProgressEvent("training 60", 1, 3, "steps"))
    bars = [task.description for task in display._bars.tasks]
    assert len(bars) <= console.height - progress.OTHER_LINES
    assert "jobs" in bars and "training 60" in bars and "training 0" not in bars
