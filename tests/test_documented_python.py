"""The longer pieces of Python in the documents run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finished_run import copy_run

DOCS = Path(__file__).parent.parent / "docs"


def run_examples(page: str, heading: str) -> dict[str, Any]:
    """Run the Python of a section, its pieces one after the other; what they named."""
    text = (DOCS / page).read_text(encoding="utf-8")
    section = re.split(r"\n#+ ", text[text.index(f"# {heading}\n") :], maxsplit=1)[0]
    pieces = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert pieces, f"{page} shows no Python under {heading!r}"
    names: dict[str, Any] = {}
    for piece in pieces:
        exec(compile(piece, page, "exec"), names)
    return names


def test_answers_are_read_by_plan_and_a_noted_mode_becomes_an_issue(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.diagnose.notes import Note

    copy_run(finished_run, tmp_path / "support")
    monkeypatch.chdir(tmp_path)
    named = run_examples("detectors.md", "Reading answers yourself")
    plan, project = named["plan"], named["project"]
    assert len(plan) == len(named["responses"]) >= 2
    assert {item.response.example for item in plan} <= named["half"]
    assert all(item.response.model == project.model("base").id for item in plan)
    assert named["progress"].modes == ("invented colour",)
    assert named["progress"].next_step == "read"
    assert {f.response for f in named["findings"]} == {item.response.id for item in plan[:2]}

    notes = [Note(item.response.id, "no colour", mode="no colour") for item in plan]
    (issue, *_) = named["find_issues"](
        named["dev"],
        named["findings_of_notes"](notes, {"no colour": 0.8}),
        named["responses"],
        half=named["half"],
        model=project.model("base").id,
        round=0,
        config=project.config.diagnose,
    )
    assert (issue.kind, issue.detector) == ("no colour", "reading")
    assert set(issue.examples) <= named["half"]
    project.store.close()


def test_rows_are_ranked_over_the_checkpoints_of_a_warm_up() -> None:
    named = run_examples("targeting.md", "By gradient")
    assert named["influence"].shape == (40, 3)
    assert np.abs(named["influence"]).max() <= sum(named["rates"])
    means = named["influence"].mean(axis=1)
    assert means[named["best"]].min() >= np.delete(means, named["best"]).max()
