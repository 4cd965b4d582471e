"""The command line: exit codes, messages, and projects made from flags."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from heard_signals import hear_signal
from limits import files_of_at_most
from residency.cli import app as cli
from residency.cli.invoke import Stopped, call_guarded, run_command_line, stop_on_signals
from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.commands.project import Project
from residency.errors import ParityError
from residency.files.write_errors import raise_os_errors
from residency.interfaces import ProgressEvent
from small import make_rows, save_model, save_project

pytestmark = pytest.mark.slow


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
    rows[2] = json.dumps({"instruction": "x", "input": "y", "response": ["no text", 3]})
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    (tmp_path / "residency.toml").write_text('[data]\ntrain = ["train.jsonl"]\n')
    run_command_line(["check", str(tmp_path), "--base", "tiny", "--json"])
    reject = json.loads(capsys.readouterr().out)["rejects"][0]
    assert (reject["file"], reject["line"], reject["field"]) == ("train.jsonl", 3, "response")
    assert reject["reason"].startswith("text is expected, found a list")


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


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signals_end_a_run_politely_and_it_goes_on(tmp_path: Path, name: str, code: int) -> None:
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"), rounds=1, epochs=400)
    command = [sys.executable, "-m", "residency", "run", str(root)]
    with hear_signal(getattr(signal, name)):
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
    assert process.stderr
    told = ""
    for line in process.stderr:
        told += line
        if "round 1: train" in line:
            break
    work = root / ".residency" / "work"
    while not any(work.glob("*/*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    told += process.communicate(timeout=120)[1]
    assert process.returncode == code, told
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    assert list(work.glob("*/checkpoints/*")), "the training in hand is kept"
    assert not (root / ".residency" / "progress.json").exists()


def test_an_ignored_signal_stays_ignored_as_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as caught, stop_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    rows = [json.dumps(row) for row in make_rows(40, "train")]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    python = f"{sys.executable} -m residency"
    line = (
        f"{python} check train.jsonl --base tiny --show 40 2>err | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert "Error" not in (tmp_path / "err").read_text()


def test_a_closed_gate_stays_closed_where_its_reader_has_gone(tmp_path: Path) -> None:
    for name, value in (("before", 1.0), ("after", 0.0)):
        rows = [
            {"doc_id": n, "doc": {"q": n}, "target": "a", "resps": [["a"]], "acc": value,
             "filtered_resps": ["a"], "arguments": [["q"]], "filter": "none", "metrics": ["acc"]}
            for n in range(60)
        ]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    gate = f"{sys.executable} -m residency gate --before before.jsonl --after after.jsonl"
    for reader in ("| true", ">/dev/null"):
        line = f"{gate} 2>err {reader}; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == "1\n"
        assert "Error" not in (tmp_path / "err").read_text()


def test_a_folder_that_is_not_there_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from residency.cli.invoke import run_command_line; "
        f"assert run_command_line(['run', {str(tmp_path / 'nothere')!r}]) == 2; "
        "heavy = {'torch', 'transformers', 'sqlalchemy', 'scipy'} & set(sys.modules); "
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no such folder" in done.stderr


def test_negative_counts_are_refused() -> None:
    for line in (["estimate", ".", "--check", "-5"], ["bench", ".", "--limit", "-1"],
                 ["run", ".", "--seed", "-1"], ["run", ".", "--rounds", "0"],
                 ["target", ".", "is-1", "--limit", "-1"], ["check", ".", "--show", "-1"]):  # fmt: skip
        assert run_command_line(line) == 2


def test_rows_that_the_template_refuses_are_counted_and_told_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = [("system", "Be kind."), ("user", "Hello {}"), ("assistant", "Yes {}")]
    rows = [
        {"messages": [{"role": role, "content": text.format(n)} for role, text in turns]}
        for n in range(6)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "chat.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'user' %}{{ 'Q: ' + m.content + '\\n' }}"
        "{% elif m.role == 'assistant' %}{{ 'A: ' + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}",
        encoding="utf-8",
    )
    (tmp_path / "residency.toml").write_text(
        '[project]\nname = "p"\n[model]\nbase = "tiny"\ntemplate = "chat.jinja"\n'
        '[data]\ntrain = ["rows.jsonl"]\n',
        encoding="utf-8",
    )
    run_command_line(["check", str(tmp_path)])
    told = " ".join(capsys.readouterr().out.split())
    assert "leaves the system message out" in told
    assert told.count("→ set fold_system = true under [model]") == 1
    assert "1 thing to look at" in told
