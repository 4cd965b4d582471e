"""The command line: exit codes, messages, and projects made from flags."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from limits import files_of_at_most
from residency.cli import app as cli
from residency.cli.invoke import call_guarded, run_command_line
from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.commands.project import Project
from residency.errors import ParityError
from residency.files.write_errors import raise_os_errors
from residency.interfaces import ProgressEvent
from small import make_rows


def test_user_mistakes_exit_with_2_and_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["status", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "no residency.toml here or above" in told
    assert "→ make a project with: residency init" in told
    assert run_command_line(["run", "--no-such-flag"]) == 2
    assert run_command_line(["no-such-command"]) == 2


def test_our_defects_exit_with_1_and_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("x")

    assert call_guarded(broken, debug=False) == 1
    told = capsys.readouterr().err
    assert "defect of Residency" in told
    assert "Traceback" not in told
    assert call_guarded(broken, debug=True) == 1
    assert "Traceback" in capsys.readouterr().err

    def unequal() -> None:
        raise ParityError("merged weights differ")

    assert call_guarded(unequal, debug=False) == 1


def test_a_full_disk_exits_with_2_whatever_was_being_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        with files_of_at_most(1000), (tmp_path / "file").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(600))

    assert call_guarded(write, debug=False) == 2
    told = capsys.readouterr().err
    assert "cannot write: File too large" in told
    assert "free some space" in told

    def weights() -> None:
        from safetensors.numpy import save_file

        with raise_os_errors(tmp_path / "weights"), files_of_at_most(1000):
            save_file({"a": np.zeros(1000)}, tmp_path / "weights")

    assert call_guarded(weights, debug=False) == 2
    assert str(tmp_path / "weights") in capsys.readouterr().err


def test_ctrl_c_exits_with_130_and_says_that_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "residency.toml").touch()
    monkeypatch.setattr(Project, "open", stopped)
    assert run_command_line(["run", str(tmp_path)]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == "residency 0.1.0\n"


def test_every_command_can_be_loaded() -> None:
    for name in cli.COMMANDS:
        assert cli.load_command(name) is not None


def test_init_from_own_files_finds_format_and_keeps_them_untouched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "faq.csv"
    text = "frage,antwort\nWhat is it?,A kettle.\nWhere is it?,In the kitchen.\n"
    own.write_text(text)
    project = tmp_path / "project"
    flags = ["--column", "instruction=frage", "--column", "response=antwort", "--base", "tiny"]
    assert run_command_line(["init", str(project), "--train", str(own), *flags]) == 0
    assert "2 rows" in " ".join(capsys.readouterr().out.split())
    settings = tomllib.loads((project / "residency.toml").read_text())
    assert settings["data"]["columns"] == {"instruction": "frage", "response": "antwort"}
    assert settings["model"]["base"] == "tiny"
    assert own.read_text() == text


def test_init_refuses_what_it_cannot_read_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "odd.csv"
    own.write_text("a,b\n1,2\n")
    assert run_command_line(["init", str(tmp_path / "p"), "--train", str(own)]) == 2
    assert "--column" in capsys.readouterr().err
    assert (
        run_command_line(["init", str(tmp_path / "p"), "--train", str(tmp_path / "none.csv")]) == 2
    )
    assert not (tmp_path / "p").exists()
    assert run_command_line(["init", str(tmp_path / "p"), "--example", "no-such"]) == 2
    assert (
        run_command_line(["init", str(tmp_path / "p"), "--train", str(own), "--column", "x"]) == 2
    )


def test_init_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["init", str(tmp_path), "--example", "tickets", "--base", "tiny"]) == 0
    settings = tomllib.loads((tmp_path / "residency.toml").read_text())
    assert settings["model"]["base"] == "tiny"
    assert run_command_line(["init", str(tmp_path), "--example", "tickets"]) == 2
    assert "a project here already" in capsys.readouterr().err


def test_pain_18_a_bad_row_is_named_by_file_line_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.dumps(row) for row in make_rows(4, "train")]
    rows[2] = json.dumps({"instruction": "x", "input": "y", "response": ["no text"]})
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    (tmp_path / "residency.toml").write_text('[data]\ntrain = ["train.jsonl"]\n')
    run_command_line(["check", str(tmp_path), "--base", "tiny", "--json"])
    reject = json.loads(capsys.readouterr().out)["rejects"][0]
    assert (reject["file"], reject["line"], reject["field"]) == ("train.jsonl", 3, "response")
    assert reject["reason"] == "text is expected, found list"


def test_progress_without_a_terminal_tells_the_end_of_a_stage_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressDisplay() as progress:
        progress(ProgressEvent("train", 0, 10, "steps"))
        progress(ProgressEvent("train", 10, 10, "steps", {"loss": 0.5}))
        progress(ProgressEvent("train", 10, 10, "steps", {"loss": 0.5}))
    told = capsys.readouterr().err
    assert told.count("train: 10/10 steps") == 1
    assert "loss 0.5" in told


def test_a_servers_trouble_is_told_once_and_cannot_drive_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressDisplay() as progress:
        for done in range(3):
            event = {"tokens": 12345.0, "trouble": "HTTP 500: \x1b[31mboom"}
            progress(ProgressEvent("judge", done, 2, detail=event))
    told = capsys.readouterr().err
    assert told.count("boom") == 1
    assert "\x1b" not in told
    assert "tokens 12,345" in told


def test_json_has_no_infinity() -> None:
    assert to_jsonable({"a": float("inf"), "b": (1.0, float("nan"))}) == {
        "a": None,
        "b": [1.0, None],
    }
