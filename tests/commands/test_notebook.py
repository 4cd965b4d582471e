"""In a notebook: progress without asking, better answers by id, and texts that stay texts."""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from finished_run import copy_run
from residency.commands.collect import read_collected
from residency.commands.notebook_progress import NotebookProgress, choose_progress
from residency.commands.project import Project
from residency.errors import StoreError, UserError
from residency.interfaces import WHOLE_RUN, ProgressEvent, no_progress
from residency.secrets import remember_secret


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An IPython whose shell has a kernel; what its display shows, drawing by drawing."""
    shown: list[str] = []
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    module.HTML = str  # type: ignore[attr-defined]

    def display(html: str, display_id: bool) -> SimpleNamespace:
        assert display_id
        shown.append(html)
        return SimpleNamespace(update=shown.append)

    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_bars_come_by_themselves_in_a_kernel_and_nowhere_else(
    kernel: list[str], finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    project = Project.open(root)
    project.progress(ProgressEvent(WHOLE_RUN, 1, 7, "stages", {"now": "x", "left": "2 min left"}))
    project.progress(ProgressEvent("round <b>1</b>: train", 0, 10, "steps"))
    project.progress(ProgressEvent("round <b>1</b>: train", 10, 10, "steps", {"loss": 0.51234}))
    last = kernel[-1]
    assert "1/7 stages" in last and "2 min left" in last
    assert "10/10 steps" in last and "loss 0.5123" in last
    assert "<b>" not in last and "&lt;b&gt;" in last
    mine: list[ProgressEvent] = []
    Project.open(root, progress=mine.append).progress(ProgressEvent("s", 0, 1))
    assert len(mine) == 1 and kernel[-1] == last


def test_a_terminal_gets_no_bars_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert choose_progress() is no_progress
    terminal = ModuleType("IPython")
    terminal.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert choose_progress() is no_progress


def test_fast_events_are_not_all_drawn(kernel: list[str]) -> None:
    show = NotebookProgress()
    for done in range(1001):
        show(ProgressEvent("train", done, 1000, "steps"))
    assert len(kernel) < 100 and "1,000/1,000 steps" in kernel[-1]


def test_trouble_stays_in_sight_once_a_kind_and_without_a_key(kernel: list[str]) -> None:
    remember_secret("sk-SECRET-123")
    show = NotebookProgress()
    for done in range(20):
        said = {"trouble": "<b>HTTP 429</b> for sk-SECRET-123"}
        show(ProgressEvent("eval", done, 100, "answers", said))
    show(ProgressEvent("eval", 100, 100, "answers"))
    assert kernel[-1].count("HTTP 429") == 1
    assert "SECRET" not in kernel[-1] and "<b>" not in kernel[-1]


def test_better_answers_by_id_become_training_rows_and_never_of_dev(
    finished_run: Path, tmp_path: Path
) -> None:
    project = Project.open(copy_run(finished_run, tmp_path / "project"))
    worst = project.worst_answers(rows=3)
    assert len(worst) == 3 and "<3 answers>" in repr(worst)
    first = worst[0]
    rows = project.collect({str(first["response"]): "colour: green\nthing: pen"}, person="ann")
    assert [row.reference for row in rows] == ["colour: green\nthing: pen"]
    assert rows[0].split == "train"
    assert len(read_collected(project.root).examples) == 1
    with pytest.raises(StoreError, match="no answer"):
        project.collect({"r-0": "x"})
    on_dev = next(
        r
        for r in project.responses("final")
        if r.example in {e.id for e in project.examples("dev")}
    )
    with pytest.raises(UserError):
        project.collect({on_dev.id: "colour: red"})
    with pytest.raises(StoreError, match="no votes"):
        project.arena()


def test_what_is_shown_begins_with_words_and_holds_no_raw_figures(
    finished_run: Path, tmp_path: Path
) -> None:
    project = Project.open(copy_run(finished_run, tmp_path / "project"))
    compared = project.compare("base", "final")
    shown = compared._repr_html_()
    assert "points, 95 % interval" in shown
    assert not re.search(r"\d\.\d{3,}", shown)  # rates are percentages
    assert "fall, points" in shown
    for value in (project.read("final", reader="ann"), project.diagnose("final"), project.check()):
        words = value.describe()
        assert escape(words) in value._repr_html_()
        assert words.endswith(".")
    assert "&lt;Progress&gt;" not in project.read("final", reader="ann")._repr_html_()
    for value in (project.corpus, project.base, project):
        assert len(repr(value)) < 1000, type(value)
        assert len(value._repr_html_()) < 20_000, type(value)
