"""The pace of a stage is that of the work that goes on, not of all that had its name."""

from __future__ import annotations

import pytest

from residency.interfaces import ProgressEvent
from residency.project import stage_pace


def test_a_name_that_begins_anew_has_a_new_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(stage_pace.time, "monotonic", lambda: now[0])
    pace = stage_pace.StagePace()

    def tell(seconds: float, done: int) -> tuple[float, int]:
        now[0] = seconds
        return pace.measure(ProgressEvent("train", done, 10, "steps"))

    assert tell(0, 0) == (0, 0) and tell(2, 10) == (2, 10)
    assert tell(100, 0) == (0, 0), "the next training, long after"
    assert tell(104, 8) == (4, 8)
    assert tell(200, 5) == (0, 0) and tell(201, 9) == (1, 4), "one that went on from a checkpoint"
