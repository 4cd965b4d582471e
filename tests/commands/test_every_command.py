"""Every command on one finished project: wherever it lies, and while another process writes to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.results.run_results import RunResults
from residency.store.store import FOLDER, Store

NASTY = 'q?x 100%41 #1 äöü it\'s "hi" back\\slash [b]x[b] ; $HOME\nline'
"""What a folder can be called and an address, a shell or a markup could misread."""


def reading_commands(root: Path) -> list[list[str]]:
    """Commands that write nothing on a finished project."""
    store = Store(root, create=False)
    results = RunResults(store)
    issue, model = results.issues[0].issue.id, results.models[-1].id
    store.close()
    place = str(root)
    return [
        ["status", place],
        ["status", place, "--json"],
        ["doctor", place],
        ["report", place],
        ["diagnose", place],
        ["compare", place, "base", "final"],
        ["target", place, issue],
        ["trace", place, model],
        ["trace", place, issue],
        ["data", "list", place],
    ]


def writing_commands(root: Path) -> list[list[str]]:
    """Commands that always write."""
    place = str(root)
    return [[name, place] for name in ("run", "train", "eval", "baseline", "estimate")]


def test_a_project_may_lie_anywhere(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / NASTY)
    for command in [*reading_commands(root), ["eval", str(root)], ["run", str(root)]]:
        assert run_command_line(command) == 0, (command, capsys.readouterr().err)
    assert "Nothing to do" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == [NASTY]
    assert (root / FOLDER / "store.db").is_file()


def test_reading_goes_on_while_another_process_writes_and_writing_waits_its_turn(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    reading, writing = reading_commands(root), writing_commands(root)
    other = Store(root, create=False)
    with other.writer("run"):
        for command in reading:
            assert run_command_line(command) == 0, (command, capsys.readouterr().err)
        for command in writing:
            capsys.readouterr()
            assert run_command_line(command) == 2, command
            assert "another process is writing" in capsys.readouterr().err, command
    other.close()


def test_reading_adds_no_row(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    tables = ("runs", "examples", "models", "responses", "findings", "outcomes", "issues")
    tables += ("verdicts", "proposals", "rounds", "stages", "records")
    store = Store(root, create=False)
    before = {name: store.count(name) for name in tables}
    for command in reading_commands(root):
        assert run_command_line(command) == 0
    assert {name: store.count(name) for name in tables} == before
    store.close()


def test_a_spoiled_or_lost_model_is_told_refused_and_trained_again(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    store = Store(root, create=False)
    adapters = [m.model.adapter for m in RunResults(store).models if m.model.adapter]
    folders = [store.artifacts.path_of(digest) for digest in adapters]
    before = [model.id for model in RunResults(store).models]
    weights = next(folders[0].glob("*.safetensors"))
    spoiled = bytearray(weights.read_bytes())
    spoiled[-3] ^= 1
    weights.write_bytes(spoiled)
    for file in folders[1].iterdir():
        file.unlink()
    folders[1].rmdir()

    assert run_command_line(["doctor", str(root)]) == 2
    told = capsys.readouterr()
    assert "changed" in told.out
    assert "missing" in told.out
    first = next(m.id for m in RunResults(store).models if m.model.adapter == adapters[0])
    assert (
        run_command_line(["merge", str(root), "--model", first, "--out", str(tmp_path / "m")]) == 2
    )
    assert "changed after it was stored" in capsys.readouterr().err

    assert run_command_line(["run", str(root)]) == 0
    assert run_command_line(["doctor", str(root)]) == 0
    assert [model.id for model in RunResults(store).models] == before
    assert all(store.artifacts.check_artifact(digest) == "whole" for digest in adapters)
    store.close()
