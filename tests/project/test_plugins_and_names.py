"""A project's plugin files, and names in its settings that must be registered."""

from __future__ import annotations

from inspect import isfunction
from pathlib import Path

import pytest

from residency.commands.people_steps import PeopleSteps
from residency.commands.project import Project
from residency.commands.stored_tables import StoredTables
from residency.diagnose.detectors.registry import find_detectors
from residency.errors import ConfigError
from residency.plugins import find_plugins, use_plugin_files
from residency.project.check_names import check_names
from residency.project.project_plugins import with_own_plugins
from small import save_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return save_project(tmp_path / "project", tmp_path / "model")


def change(root: Path, before: str, after: str) -> None:
    path = root / "residency.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_a_plugin_file_runs_once_when_the_project_is_opened(root: Path) -> None:
    (root / "own.py").write_text(
        "from residency.plugins import register_plugin\n"
        "from pathlib import Path\n"
        "with Path(__file__).with_name('runs').open('a') as file:\n"
        "    file.write('x')\n"
        "register_plugin('selectors', 'own-selector', len)\n"
    )
    change(root, "[project]\n", '[project]\nplugins = ["own.py"]\n')
    for _ in range(3):
        Project.open(root)
    assert (root / "runs").read_text() == "x"
    assert find_plugins("selectors")["own-selector"] is len
    with (root / "own.py").open("a") as file:
        file.write("register_plugin('selectors', 'other-selector', max)\n")
    Project.open(root)
    assert (root / "runs").read_text() == "xx", "a changed file is another plugin"
    assert find_plugins("selectors")["other-selector"] is max


def test_two_projects_in_one_process_have_each_its_own_plugins(tmp_path: Path) -> None:
    """A detector of one name, in two projects that are open at once, as in a notebook."""
    projects = []
    for number in (1, 2):
        root = save_project(tmp_path / f"project{number}", tmp_path / "model")
        (root / "own.py").write_text(
            "from dataclasses import dataclass\n"
            "from residency.diagnose.detectors.registry import Detector\n"
            "from residency.plugins import register_plugin\n"
            "@dataclass\n"
            "class State:\n"
            f"    number: int = {number}\n"
            f"register_plugin('detectors', 'mine', Detector('mine', '{number}', lambda i, c: []))\n"
            f"register_plugin('detectors', 'only-{number}', Detector('only-{number}', '1', len))\n"
        )
        change(root, "[project]\n", '[project]\nplugins = ["own.py"]\n')
        change(root, "[diagnose]\n", f'[diagnose]\ndetectors = ["mine", "only-{number}"]\n')
        projects.append(Project.open(root))
    for number, project in enumerate(projects, start=1):
        seen = with_own_plugins(lambda project: find_detectors())(project)
        assert seen["mine"].version == str(number)
        assert f"only-{number}" in seen and f"only-{3 - number}" not in seen
        check_with = with_own_plugins(lambda project: check_names(project.root, project.config))
        check_with(project)
    with pytest.raises(ConfigError, match="only-1"), use_plugin_files(projects[1].plugin_files):
        check_names(projects[0].root, projects[0].config)


def test_every_public_method_of_a_project_is_scoped() -> None:
    classes = (Project, PeopleSteps, StoredTables)
    methods = {n: m for c in classes for n, m in vars(c).items() if isfunction(m)}
    public = [name for name in methods if not name.startswith("_")]
    assert len(public) > 30
    assert all(hasattr(methods[name], "__wrapped__") for name in public)


@pytest.mark.parametrize("name", ["absent.py", "../outside.py", "broken.py", "leaving.py"])
def test_a_plugin_that_cannot_run_is_refused_by_name(root: Path, name: str) -> None:
    (root.parent / "outside.py").write_text("")
    (root / "broken.py").write_text("1 / 0\n")
    (root / "leaving.py").write_text("raise SystemExit(0)\n")
    change(root, "[project]\n", f'[project]\nplugins = ["{name}"]\n')
    with pytest.raises(ConfigError) as caught:
        Project.open(root)
    assert name.removeprefix("../") in str(caught.value)


@pytest.mark.parametrize(
    ("section", "line", "guess"),
    [
        ("[diagnose]", 'detectors = ["mispelling"]', "did you mean 'misspelling'?"),
        ("[data]", 'format = "alpacca"', "did you mean 'alpaca'?"),
        ("[rounds]", 'guard = ["arc_esay"]', "known:"),
    ],
)
def test_an_unknown_name_is_refused_with_its_line(
    root: Path, section: str, line: str, guess: str
) -> None:
    change(root, f"{section}\n", f"{section}\n{line}\n")
    number = (root / "residency.toml").read_text().splitlines().index(line) + 1
    with pytest.raises(ConfigError) as caught:
        Project.open(root)
    assert f"residency.toml:{number}: " in str(caught.value)
    assert guess in str(caught.value)
    assert not (root / ".residency").exists(), "nothing is read or made before"


def test_a_new_setting_at_its_default_is_no_new_run(root: Path) -> None:
    settings = Project.open(root).list_result_settings()
    assert "plugins" not in settings["project"]
    (root / "own.py").write_text("")
    change(root, "[project]\n", '[project]\nplugins = ["own.py"]\n')
    first = Project.open(root).list_result_settings()["project"]["plugins"]
    (root / "own.py").write_text("# changed\n")
    assert Project.open(root).list_result_settings()["project"]["plugins"] != first
