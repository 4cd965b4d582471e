"""A detector in a file outside the package: found, run, made an issue, and shown in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.detectors.base import Detector
from residency.diagnose.detectors.registry import DETECTORS, find_detectors
from residency.diagnose.run_detectors import choose_detectors
from residency.errors import ConfigError
from residency.plugins import register_plugin
from small import save_model, save_project

PLUGIN = '''
"""Flags answers without a full stop."""

from residency.diagnose.detectors.base import Context, Detector, Item, make_finding
from residency.plugins import register_plugin

NAME, VERSION = "no_full_stop", "1"


def detect(items, context):
    return [
        make_finding(NAME, VERSION, item, "pass")
        if item.response.text.rstrip().endswith(".")
        else make_finding(NAME, VERSION, item, "fail", severity=0.9, message="no full stop")
        for item in items
    ]


register_plugin("detectors", NAME, Detector(NAME, VERSION, detect, "The answer lacks a full stop."))
'''


@pytest.fixture(autouse=True)
def no_plugins_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import residency.plugins as plugins

    monkeypatch.setitem(plugins._registered, "detectors", {})
    monkeypatch.setattr(plugins, "_files", {})


def test_a_detector_of_a_project_file_runs_through_diagnose_and_into_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "p", save_model(tmp_path / "model"), rounds=1, epochs=1)
    (root / "full_stop.py").write_text(PLUGIN)
    file = root / "residency.toml"
    file.write_text(
        file.read_text().replace('name = "small"', 'name = "small"\nplugins = ["full_stop.py"]')
    )
    Project.open(root).run()
    capsys.readouterr()
    assert run_command_line(["diagnose", str(root)]) == 0
    assert "no full stop" in capsys.readouterr().out.replace("_", " ")
    html = Project.open(root).report().read_text()
    assert "no full stop" in html
    assert "The answer lacks a full stop." in html


def test_only_detectors_are_taken_and_unknown_names_refused() -> None:
    register_plugin("detectors", "mine", Detector("mine", "1", lambda items, context: []))
    assert set(find_detectors()) == {*DETECTORS, "mine"}
    assert [d.name for d in choose_detectors(DiagnoseConfig(detectors=["mine"]))] == ["mine"]
    with pytest.raises(ConfigError, match="unknown detector"):
        choose_detectors(DiagnoseConfig(detectors=["nobody"]))
    register_plugin("detectors", "other", Detector("mine", "1", lambda items, context: []))
    with pytest.raises(ConfigError, match="no detector of that name"):
        find_detectors()
