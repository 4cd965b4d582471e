"""Names that no text can hold, loops of links, what is no file: told with a next step, never a crash."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.errors import ConfigError

BYTES = os.fsdecode(b"bad\xff\xfename")
needs_bytes = pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")


@pytest.fixture
def root(finished_run: Path, tmp_path: Path) -> Path:
    return copy_run(finished_run, tmp_path / "project")


def run_refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command says that ends with 2."""
    code = run_command_line([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code == 2, (words, out, err)
    assert "error: " in err
    assert "Traceback" not in err
    (out + err).encode()
    return err


@needs_bytes
def test_a_name_that_is_not_utf8_is_refused_wherever_it_is_given(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = root.rename(tmp_path / BYTES)
    for words in (
        ["status", odd],
        ["run", odd],
        ["check", odd, "--json"],
        ["init", tmp_path / f"new{BYTES}", "--train", odd / "train.jsonl"],
        ["report", ".", "--out", tmp_path / f"{BYTES}.html"],
    ):
        assert "not UTF-8" in run_refused(capsys, *words)
    with pytest.raises(ConfigError, match="not UTF-8"):
        Project.open(odd)
    link = tmp_path / "link"
    link.symlink_to(odd)
    monkeypatch.chdir(odd)
    for words in (["status"], ["check"], ["status", link], ["doctor", "."]):
        assert "not UTF-8" in run_refused(capsys, *words)
    assert {path.name for path in tmp_path.iterdir()} == {BYTES, "link"}


@needs_bytes
def test_a_data_file_in_a_folder_may_be_called_anything(root: Path) -> None:
    (root / "rows").mkdir()
    (root / "train.jsonl").rename(root / "rows" / f"{BYTES}.jsonl")
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace('["train.jsonl"]', '["rows"]'))
    project = Project.open(root)
    assert project.check().report.kept["train"] > 0


@pytest.fixture(params=["loop", "long", "pipe", "device", "gone"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path at which no file can be read."""
    place = tmp_path / ("x" * 300 if request.param == "long" else "place")
    if request.param == "loop":
        place.symlink_to(place)
    elif request.param == "pipe":
        os.mkfifo(place)
    elif request.param == "device":
        place.symlink_to("/dev/zero")  # a file without an end
    return place


@needs_bytes
def test_what_is_no_file_is_refused_as_an_argument(
    place: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "run", "check", "report"):
        run_refused(capsys, command, place)
    for words in (
        ["init", tmp_path / "new", "--train", place],
        ["moderate", root, place],
        ["ingest", root, place],
        ["collect", root, "--prompts", place],
        ["collect", root, "--templates", place],
    ):
        run_refused(capsys, *words)


@needs_bytes
def test_what_is_no_file_is_refused_in_settings(
    place: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, text = root / "residency.toml", (root / "residency.toml").read_text()
    for old, new in (
        ('["train.jsonl"]', f'["{place}"]'),
        ("[evaluate]", f'[evaluate]\nsuite = "{place}"'),
        ("[model]", f'[model]\ntemplate = "{place}"'),
        ("[project]", f'[project]\nplugins = ["{place}"]'),
        ("[data]", f'[data]\nbenchmarks = "{place}"'),
        ("[rounds]", f'[rounds]\nguard = ["{place}"]'),
    ):
        assert old in text
        settings.write_text(text.replace(old, new))
        run_refused(capsys, "check", root)
    settings.unlink()
    if not place.name.startswith("xx"):
        settings.symlink_to(place)
        run_refused(capsys, "status", root)


def test_check_refuses_the_settings_that_a_run_refuses(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, text = root / "residency.toml", (root / "residency.toml").read_text()
    (root / "suite.toml").write_text('[[rule]]\nkind = "no such rule"\n')
    (root / "latin.jinja").write_bytes(b"{{ m\xe9 }}")
    for old, new in (
        ("[evaluate]", '[evaluate]\nsuite = "nowhere.toml"'),
        ("[evaluate]", '[evaluate]\nsuite = "suite.toml"'),
        ("[diagnose]", '[diagnose]\ndetectors = ["no such detector"]'),
        ("[rounds]", '[rounds]\nguard = ["no such task"]'),
        ("[model]", '[model]\ntemplate = "latin.jinja"'),
    ):
        settings.write_text(text.replace(old, new))
        for command in ("check", "run"):
            run_refused(capsys, command, root)
