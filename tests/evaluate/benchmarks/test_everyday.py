"""The simple questions that ship: sound, without the network, and in every new project's guard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.init import init
from residency.evaluate.benchmarks.load_rows import LocalSplits, read_split
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.project.settings_file import read_config
from residency.stats.delta_interval import score_interval
from small import make_rows


def test_every_question_has_one_right_answer_among_four(tmp_path: Path) -> None:
    (task,) = find_tasks(["everyday"])
    rows = read_split(task, LocalSplits(tmp_path), task.test)
    assert len({row["question"] for row in rows}) == len(rows) > 300
    golds = [task.read(row).gold for row in rows]
    assert all(50 < golds.count(place) < 100 for place in range(4))
    for row in rows:
        question = task.read(row)
        assert len(set(question.choices)) == 4
        right = question.choices[question.gold]
        if sums := re.fullmatch(r"What is (\d+) (plus|minus|times) (\d+)\?", row["question"]):
            a, b = int(sums[1]), int(sums[3])
            assert right == str({"plus": a + b, "minus": a - b, "times": a * b}[sums[2]])
        if row["kind"] == "reading" and right.startswith("in the "):
            thing = row["question"].split("Where is the ")[1].rstrip("?")
            assert f"put the {thing} {right}." in row["question"]


def test_a_task_with_files_of_its_own_looks_through_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project may lie beside a million files."""

    def refuse(*_: object) -> None:
        raise AssertionError("the folder was searched")

    monkeypatch.setattr(Path, "rglob", refuse)
    (task,) = find_tasks(["everyday"])
    assert read_split(task, LocalSplits(tmp_path), task.test)


def test_a_model_that_changed_nothing_can_be_shown_to_have_forgotten_nothing() -> None:
    """The number of items is what the guard's margin of two points needs."""
    low, _ = score_interval(0, 0, 300)
    assert low > -0.02


def test_a_new_project_asks_them_at_its_end(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in make_rows(80, "train")]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    init(tmp_path / "new", files={"train": [tmp_path / "rows.jsonl"]}, suite=False)
    rounds = read_config(tmp_path / "new").rounds
    assert (rounds.guard, rounds.guard_items) == (["everyday"], 300)


def test_bench_asks_them_without_any_folder(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(copy_run(finished_run, tmp_path / "project"))
    line = ["bench", root, "--tasks", "everyday", "--limit", "12", "--model", "base"]
    assert run_command_line([*line, "--model", "final", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [m["metrics"]["everyday"]["acc"]["n"] for m in told["models"]] == [12, 12]
    assert told["differences"][0][0]["task"] == "everyday"
