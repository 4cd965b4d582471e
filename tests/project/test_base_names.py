"""A base named by a path: every later command finds it, wherever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.project.settings_file import name_base_from, read_config


def test_a_base_named_on_the_command_line_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, model = tmp_path / "work" / "demo", tmp_path / "models" / "m"
    project.mkdir(parents=True)
    model.mkdir(parents=True)
    (project / "residency.toml").write_text('[model]\nbase = "tiny"\n')
    monkeypatch.chdir(tmp_path)
    name = read_config(project, {"model.base": "models/m"}).model.base
    assert name == "../../models/m"
    monkeypatch.chdir(tmp_path / "work")
    assert read_config(project, {"model.base": name}).model.base == name
    assert read_config(project, {"model.base": "../models/m"}).model.base == name


def test_names_known_or_of_the_project_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "demo"
    for folder in (tmp_path / "tiny", tmp_path / "m", project / "m"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    names = ("tiny", "m", "owner/model", "", str(tmp_path / "m"))
    assert [name_base_from(project, name) for name in names] == list(names)
