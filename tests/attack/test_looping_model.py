"""A model that repeats itself without end after its training: an issue, at any length of the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from finished_run import copy_run, spoil_answers
from residency.commands.project import Project


@pytest.mark.parametrize("loop", ["ha" * 60, "one two three four five six seven\n" * 6])
def test_pain_29_a_model_that_loops_has_an_issue_by_default(
    loop: str, finished_run: Path, tmp_path: Path
) -> None:
    """With the detectors that run when the settings name none, on the whole finding half."""
    root = copy_run(finished_run, tmp_path / "project")
    spoil_answers(root, loop)
    found = Project.open(root).diagnose("round-1")
    loops = [f for f in found.findings if f.kind == "repetition" and f.status == "fail"]
    assert {f.response for f in loops} == {f.response for f in found.findings}
    assert ("repetition", "all") in {(issue.kind, issue.slice.by) for issue in found.issues}
