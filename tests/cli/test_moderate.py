"""``residency moderate``: a text from a file or a pipe, with or without a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line


def test_a_file_without_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("write to ann@shop.de")
    assert run_command_line(["moderate", "a.txt", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["action"], body["text"]) == ("flag", "write to ann@shop.de")
    (hit,) = body["hits"]
    assert (hit["kind"], hit["start"], hit["end"]) == ("email address", 9, 20)
    assert run_command_line(["moderate", "a.txt", "--side", "input"]) == 0
    out = capsys.readouterr().out
    assert "flagged" in out and "precision" in out and "recall" in out


def test_settings_of_the_project_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "residency.toml").write_text('[moderation]\noutputs = {email = "mask"}\n')
    (tmp_path / "a.txt").write_text("write to ann@shop.de")
    arguments = ["moderate", str(tmp_path), str(tmp_path / "a.txt"), "--json"]
    assert run_command_line(arguments) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "write to [email address]"


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["moderate", str(tmp_path / "gone.txt")]) == 2
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    assert run_command_line(["moderate", str(tmp_path / "b.txt")]) == 2
    (tmp_path / "residency.toml").write_text('[moderation]\noutputs = {emial = "mask"}\n')
    (tmp_path / "a.txt").write_text("x")
    assert run_command_line(["moderate", str(tmp_path), str(tmp_path / "a.txt")]) == 2
    assert "moderation.outputs" in capsys.readouterr().err
